// Package eval measures models on held-out items and says what the numbers support.
//
// In come the items of one benchmark (datasets.Example: a prompt and its reference
// response) and any number of Subjects, models seen as text in, scores and text out.
// Out comes a Report: per model and metric the value, an interval, the share of the
// teacher's score that is kept (retention) and paired tests against the teacher, the
// base student, the model it was made from and trivial baselines. Every model answers
// the same items, so every comparison is paired.
//
// The few types: Subject (what a model must be able to do), NamedSubject (a Subject and
// what the report says about it), Options, Report with Timing, Row (one line of
// items.parquet), BagOfWords (the trivial baseline, itself a Subject).
//
// Metrics, by name:
//
//	accuracy       share of items whose most likely choice is the reference; a choice's
//	               score is the sum of its token log-likelihoods (lm-eval's acc)
//	accuracy_norm  the same with each score divided by the choice's bytes (acc_norm)
//	macro_f1       unweighted mean of F1 over the labels that occur as reference or
//	               prediction (scikit-learn's f1_score(average="macro"))
//	ece            expected calibration error of the most likely choice, 10 equal-width
//	               bins (lo, hi], probabilities by softmax over the choices
//	brier          mean of (probability of the most likely choice − it is right)²
//	exact_match    share of greedy answers equal to the reference, outer white space cut
//	perplexity     exp of the nats per token of the reference responses; depends on the
//	               tokenizer, so compare it between models that share one
//	bits_per_byte  bits per UTF-8 byte of the reference responses; compares any models
//
// Shape letters: B items of a batch, C choices, n items, R resamples.
//
// Statistics: Wilson score intervals for shares; exact McNemar tests for paired right and
// wrong; Newcombe's interval for their difference; one paired percentile bootstrap over
// items, shared by all models and metrics, for everything else; Holm's correction over the
// tests of each metric. Metrics are views of the same answers: correcting over all of them
// would hide a loss the better the more of them are asked for.
//
// Reproducibility: report.json and items.parquet hold no clock and are the same bytes for
// the same subjects, items and options. timing.json holds the clocks, and report.md, which
// shows both, is therefore not reproducible either.
package eval
