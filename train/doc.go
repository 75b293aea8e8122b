// Package train is the only training loop. Fine-tuning and distillation differ
// in their Objective; full training, low-rank training and training from random
// weights differ in which of the student's weights are Params. A student is a
// decoder, which learns tokens, or an encoder, which learns classes of sequences.
//
// In: a student, a Source of batches, an Objective and Options. Out: the
// student's Params changed in place, and a Summary. A checkpoint, when a
// directory for it is given, lets an interrupted run continue: what it then
// computes is what it would have computed, bit for bit.
package train
