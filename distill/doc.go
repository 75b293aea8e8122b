// Package distill makes a student follow a teacher.
//
// A Teacher answers Requests. Collect asks it for what the Store does not hold
// yet; the Store keeps every answer durably before it counts, so that nothing
// is asked, or paid for, twice. CreateAnswers and OpenAnswers keep the answers
// of one stage as an artifact: answers.parquet, and topk.arrow with the
// teacher's likeliest tokens at every place of every answer. An Objective turns
// those, as a TopTable, into the loss of a student's logits.
//
// Letters in shapes: N rows, V vocabulary, K stored alternatives per token.
// Losses are in nats.
//
// The divergences are those of Agarwal et al. 2024 (arxiv.org/abs/2306.13649)
// as TRL's GKDTrainer computes them, over K+1 outcomes when K < V: the stored
// tokens, and all others together. Formats: github.com/apache/parquet-format,
// arrow.apache.org/docs/format/Columnar.html (IPC file), sqlite.org.
package distill
