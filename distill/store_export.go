package distill

import (
	"context"
	"errors"
	"io"
	"math"
	"time"

	"github.com/retort-ml/retort/internal/atomicfile"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress/zstd"
)

// exported is a row of an export.
type exported struct {
	RequestHash  string        `parquet:"request_hash"`
	Teacher      string        `parquet:"teacher"`
	Model        string        `parquet:"model_reported"`
	Fingerprint  string        `parquet:"system_fingerprint"`
	Params       string        `parquet:"params_json"`
	Prompt       string        `parquet:"prompt"`
	Messages     string        `parquet:"messages_json"`
	Tools        string        `parquet:"tools_json"`
	Schema       string        `parquet:"schema_json"`
	Sample       int64         `parquet:"sample_idx"`
	Given        *string       `parquet:"given,optional"`
	Text         string        `parquet:"text"`
	Reasoning    string        `parquet:"reasoning"`
	ToolCalls    string        `parquet:"tool_calls_json"`
	Finish       string        `parquet:"finish_reason"`
	Refusal      bool          `parquet:"refusal"`
	Tokens       []int32       `parquet:"token_ids,list"`
	TokenBytes   [][]byte      `parquet:"token_bytes,list"`
	LogProbs     []float32     `parquet:"token_logprob,list"`
	Top          []exportedTop `parquet:"topk,list"` // per token
	PromptTokens int64         `parquet:"prompt_tokens"`
	AnswerTokens int64         `parquet:"completion_tokens"`
	CachedTokens int64         `parquet:"cached_tokens"`
	Reasoned     int64         `parquet:"reasoning_tokens"`
	Cost         float64       `parquet:"cost_usd"`
	RetryCost    float64       `parquet:"retry_cost_usd"`
	Batch        bool          `parquet:"batch"`
	Latency      float64       `parquet:"latency_ms"`
	Attempts     int64         `parquet:"attempt"`
	CreatedAt    time.Time     `parquet:"created_at,timestamp(microsecond)"`
	Raw          []byte        `parquet:"raw_response_zstd"`
}

// exportedTop are the alternatives of a token: ids or bytes, whichever the
// teacher tells.
type exportedTop struct {
	IDs      []int32   `parquet:"ids,list"`
	Bytes    [][]byte  `parquet:"bytes,list"`
	LogProbs []float32 `parquet:"logprob,list"`
	TailMass float64   `parquet:"tail_mass"` // of all other tokens
}

// exportedPerGroup bounds the rows that are held before they are written.
const exportedPerGroup = 1000

// Export writes the records that the filter wants as a Parquet file, one at a
// time. It returns how many it wrote, and a *DamagedError for each that it left
// out because it is damaged.
func (s *Store) Export(ctx context.Context, f Filter, path string) (written int, damaged []error, err error) {
	err = atomicfile.Write(path, func(w io.Writer) error {
		out := parquet.NewGenericWriter[exported](w, parquet.Compression(&zstd.Codec{}), parquet.MaxRowsPerRowGroup(exportedPerGroup),
			parquet.CreatedBy("retort", "1", "0"))
		for r, err := range s.Records(ctx, f) {
			if d := new(DamagedError); errors.As(err, &d) {
				damaged = append(damaged, err)
				continue
			} else if err != nil {
				return err
			}
			row, err := exportRow(r)
			if err != nil {
				return err
			}
			if _, err := out.Write([]exported{row}); err != nil {
				return err
			}
			written++
		}
		return out.Close()
	})
	return written, damaged, err
}

func exportRow(r Record) (exported, error) {
	params, err := describe(r.Request)
	if err != nil {
		return exported{}, err
	}
	q, a := r.Request, r.Answer
	row := exported{RequestHash: r.Key.String(), Teacher: r.Teacher, Model: a.Model, Fingerprint: a.Fingerprint, Params: params,
		Prompt: q.Prompt, Messages: q.Messages, Tools: q.Tools, Schema: q.Schema, Sample: int64(q.Sample), Given: q.Given,
		Text: a.Text, Reasoning: a.Reasoning, ToolCalls: a.ToolCalls, Finish: a.Finish, Refusal: a.Finish == FinishRefusal,
		Tokens: a.Tokens, LogProbs: a.LogProbs, PromptTokens: int64(a.PromptTokens), AnswerTokens: int64(a.AnswerTokens),
		CachedTokens: int64(a.CachedTokens), Reasoned: int64(a.ReasoningTokens), Cost: a.Cost.Dollars(), RetryCost: a.RetryCost.Dollars(),
		Batch: a.Batch, Latency: float64(a.Latency) / 1e6, Attempts: int64(a.Attempts), CreatedAt: r.CreatedAt}
	if len(a.Raw) > 0 {
		row.Raw = compress(a.Raw)
	}
	for _, t := range a.Top {
		row.Top = append(row.Top, exportedTop{IDs: t.IDs, LogProbs: t.LogProbs, TailMass: tailMass(t.LogProbs)})
	}
	if len(a.Pieces) > 0 && len(a.Tokens) == 0 {
		row.LogProbs, row.Top = nil, nil
		for _, p := range a.Pieces {
			row.TokenBytes, row.LogProbs = append(row.TokenBytes, p.Bytes), append(row.LogProbs, p.LogProb)
			var top exportedTop
			for _, t := range p.Top {
				top.Bytes, top.LogProbs = append(top.Bytes, t.Bytes), append(top.LogProbs, t.LogProb)
			}
			top.TailMass = tailMass(top.LogProbs)
			row.Top = append(row.Top, top)
		}
	}
	return row, nil
}

// tailMass is the probability of what is not among the alternatives.
func tailMass(logProbs []float32) float64 {
	rest := 1.0
	for _, v := range logProbs {
		rest -= math.Exp(float64(v))
	}
	return max(rest, 0)
}
