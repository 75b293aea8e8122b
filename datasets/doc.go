// Package datasets goes from files of rows to examples, splits and batches of
// token ids.
//
// In come files of rows: Parquet, also nested, JSON, CSV and TSV. Options says
// what of a row goes where; Make turns each row into an Example (a prompt and
// the response to learn, with the turns before it if it is a conversation),
// counts by reason the rows it cannot use, sorts the examples into splits, and
// leaves out what is there already, what models are measured on, and what is
// too much of one source or label. A Dataset is a directory: a Parquet file a
// split, and dataset.json.
//
// Make goes through the rows once. It keeps the examples in a spool on disk
// while it decides which of them stay, and then writes those:
//
//	files → rows → examples → spool → decisions → split.parquet, dataset.json
//
// A decision is a byte an example; what it compares lies on disk. So memory
// does not grow with the files but for that, and for 12 bytes an example where
// near duplicates are looked for.
//
// Encode turns examples into Sequences of token ids with a tokenizer, and
// Batches lays sequences out in rows for training, several to a row. Letters in
// shapes: B rows of T tokens.
//
// WriteParquet and ReadParquet serve the packages that keep other rows. No
// Parquet file is trusted: sizes and counts are compared with the file's before
// anything is allocated for them, and what parquet-go panics on is an error.
// Formats: github.com/apache/parquet-format, jsonlines.org, RFC 4180.
package datasets
