// Package datasets goes from files of rows to examples, splits and batches of
// token ids.
//
// In come Parquet files and files of JSON lines. Options names the columns;
// Load turns each row into an Example (a prompt and the response to learn),
// sorts the examples into splits, and counts by reason the rows it cannot use.
// A Dataset is kept as a directory: a Parquet file a split, and dataset.json.
//
// Encode turns examples into Sequences of token ids with a tokenizer, and
// Batches lays sequences out in rows for training, several to a row. Letters in
// shapes: B rows of T tokens.
//
// WriteParquet and ReadParquet serve the packages that keep other rows. No
// Parquet file is trusted: sizes and counts are compared with the file's before
// anything is allocated for them, and what parquet-go panics on is an error.
// Formats: github.com/apache/parquet-format, jsonlines.org.
package datasets
