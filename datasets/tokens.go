package datasets

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
)

// A token cache is a directory of sequences that are too many for memory:
//
//	data-00000-of-0000N.arrow  Arrow IPC streams: input_ids list<int32>, loss_mask list<int8> (1 is
//	                           learned), example int64, prompt_len int32, weight float32
//	state.json, dataset_info.json  what Hugging Face's datasets.load_from_disk wants beside them
//	index.bin                  where the sequences are, and how long (see indexRecord)
//	tokens.json                TokensInfo, written last
//
// Arrow's layout: arrow.apache.org/docs/format/Columnar.html.
const (
	tokensFile = "tokens.json"
	indexFile  = "index.bin"
	// HF datasets 4.x: Dataset.load_from_disk reads both, and the files that
	// state.json names, each with pyarrow.ipc.open_stream.
	stateFile       = "state.json"
	datasetInfoFile = "dataset_info.json"
)

const (
	tokensFormat = 1
	// A record batch has at most so many sequences, and ends with the one that
	// makes it so many tokens.
	recordSequences = 1024
	recordTokens    = 1 << 19
)

// TokensRule is all that decides what a token cache holds, beside the examples.
type TokensRule struct {
	Tokenizer      string `json:"tokenizer"`               // hash
	Prompting      string `json:"prompting,omitempty"`     // Prompting.ID of the writer
	ChatTemplate   string `json:"chat_template,omitempty"` // hash of its text
	BOS            int32  `json:"bos"`
	EOS            int32  `json:"eos"`
	MaxTokens      int    `json:"max_tokens"`
	PromptsOnly    bool   `json:"prompts_only"`
	Turns          Turns  `json:"turns"`
	TooLong        string `json:"too_long"`
	NothingLearned string `json:"nothing_learned"`
	// Examples names them, so that a cache of others is not taken for these.
	Examples string `json:"examples"`
}

// with completes r with what f says.
func (r TokensRule) with(f Format) TokensRule {
	if f.Writer != nil {
		r.Prompting = f.Writer.ID()
	}
	r.BOS, r.EOS, r.MaxTokens, r.PromptsOnly = f.BOS, f.EOS, f.MaxTokens, f.OmitResponse
	r.Turns, r.TooLong, r.NothingLearned = f.Turns, f.TooLong, f.NothingLearned
	if r.Turns == "" {
		r.Turns = LastTurn
	}
	if r.TooLong == "" {
		r.TooLong = DropTooLong
	}
	if r.NothingLearned == "" {
		r.NothingLearned = ErrorUnlearned
	}
	return r
}

// shards say when a file ends: with the sequence that makes it so many, or so
// many tokens. What is in a file that has not ended is lost by a kill.
type shards struct{ Sequences, Tokens int }

func defaultShards() shards { return shards{Sequences: 1 << 18, Tokens: 1 << 24} }

// hash names the rule and the layout of files.
func (r TokensRule) hash(limit shards) string {
	data, err := json.Marshal([]any{tokensFormat, limit, recordSequences, recordTokens, r})
	if err != nil {
		panic(err) // texts and numbers
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// TokensInfo is tokens.json.
type TokensInfo struct {
	Format int `json:"format"` // 1
	TokensRule
	Counts     EncodeCounts    `json:"counts"`
	Tokens     int64           `json:"tokens"`  // of all sequences
	Learned    int64           `json:"learned"` // of these
	Statistics TokenStatistics `json:"statistics"`
	Index      FileSum         `json:"index"`
	Files      []TokensFile    `json:"files"` // in order
}

// TokensFile is one file of sequences.
type TokensFile struct {
	FileSum
	Sequences int   `json:"sequences"`
	Tokens    int64 `json:"tokens"`
}

// FileSum says what a file holds.
type FileSum struct {
	File   string `json:"file"` // base name
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
}

// datasetInfo is what load_from_disk reads of a dataset beside its files.
// The columns' types are taken from the files where it names none.
func datasetInfo(info *TokensInfo) map[string]any {
	return map[string]any{"description": fmt.Sprintf("%d sequences of tokens; loss_mask 1 is learned", info.Counts.Sequences)}
}

// state is state.json. Every key is read.
func state(info *TokensInfo) map[string]any {
	files := make([]map[string]string, len(info.Files))
	for i, f := range info.Files {
		files[i] = map[string]string{"filename": f.File}
	}
	return map[string]any{"_data_files": files, "_fingerprint": info.hash(defaultShards())[:16], "_format_columns": nil,
		"_format_kwargs": map[string]any{}, "_format_type": nil, "_output_all_columns": false, "_split": nil}
}
