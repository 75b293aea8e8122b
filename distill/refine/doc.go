// Package refine makes better answers of a teacher's.
//
// A Checker rejects answers by rules (Accept). Choose chooses among several
// answers to one prompt: by order, by majority, as a distribution, or by a
// judge. LabelProbabilities makes probabilities of labels out of a server's
// log-probabilities. A Judge asks a teacher to compare or score answers, and
// reads its verdicts. A Rationale asks for the reasons of an answer, and makes
// two targets out of them (Hsieh et al. 2023, arxiv.org/abs/2305.02301). A
// Synthesis asks for new prompts that are like given ones (Wang et al. 2023,
// arxiv.org/abs/2212.10560), and keeps those that are new.
//
// Everything here is a function of texts: the caller asks the teacher. Equal
// input gives equal output, on every machine.
package refine
