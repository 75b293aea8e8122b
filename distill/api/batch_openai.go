package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"mime/multipart"
	"net/http"
	"net/url"
	"time"
)

// openAIBatches is OpenAI's batch API: a file of requests, and files of results.
type openAIBatches struct{ c *Client }

func (openAIBatches) limits() (requests, bytes int) { return 50_000, 100 << 20 } // of 200 MB, as they are held in memory

// endpoint is the path by which the API knows what a batch asks for.
func (b openAIBatches) endpoint() string {
	u, err := url.Parse(b.c.address)
	if err != nil {
		return b.c.wire.path()
	}
	return u.Path
}

func (b openAIBatches) line(key string, body []byte) ([]byte, error) {
	return marshal(struct {
		ID     string          `json:"custom_id"`
		Method string          `json:"method"`
		URL    string          `json:"url"`
		Body   json.RawMessage `json:"body"`
	}{key, http.MethodPost, b.endpoint(), body})
}

// marshal writes JSON without escaping what HTML would need.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return bytes.TrimSpace(b.Bytes()), err
}

type openAIBatch struct {
	ID       string            `json:"id"`
	Status   string            `json:"status"`
	Output   *string           `json:"output_file_id"`
	Errors   *string           `json:"error_file_id"`
	Metadata map[string]string `json:"metadata"`
	Faults   *struct {
		Data []struct {
			Code    string `json:"code"`
			Message string `json:"message"`
		} `json:"data"`
	} `json:"errors"`
}

func (b openAIBatches) submit(ctx context.Context, s *Submission, lines [][]byte) (string, error) {
	file, err := b.upload(ctx, s, lines)
	if err != nil {
		return "", err
	}
	body, err := marshal(map[string]any{"input_file_id": file, "endpoint": b.endpoint(), "completion_window": "24h",
		"metadata": map[string]string{"retort": s.Marker}})
	if err != nil {
		return "", err
	}
	var made openAIBatch
	err = b.c.repeat(ctx, func() *failure { return b.c.once(ctx, http.MethodPost, "/batches", "application/json", body, &made) },
		func() (over bool, err error) { // the server may have made it, though its reply was lost
			made.ID, err = b.find(ctx, s, nil)
			return made.ID != "", err
		})
	if err == nil && made.ID == "" {
		err = errors.New("the server names no batch")
	}
	return made.ID, err
}

func (b openAIBatches) upload(ctx context.Context, s *Submission, lines [][]byte) (string, error) {
	var form bytes.Buffer
	w := multipart.NewWriter(&form)
	if err := w.WriteField("purpose", "batch"); err != nil {
		return "", err
	}
	part, err := w.CreateFormFile("file", "retort-"+s.Marker+".jsonl")
	if err != nil {
		return "", err
	}
	for _, line := range lines {
		part.Write(line) // to memory
		part.Write([]byte("\n"))
	}
	if err := w.Close(); err != nil {
		return "", err
	}
	var file struct {
		ID string `json:"id"`
	}
	err = b.c.repeat(ctx, func() *failure {
		return b.c.once(ctx, http.MethodPost, "/files", w.FormDataContentType(), form.Bytes(), &file)
	}, nil)
	if err == nil && file.ID == "" {
		err = errors.New("the server names no file")
	}
	return file.ID, err
}

func (b openAIBatches) find(ctx context.Context, s *Submission, _ func(string) bool) (string, error) {
	after := ""
	for {
		var page struct {
			Data []openAIBatch `json:"data"`
			More bool          `json:"has_more"`
		}
		if err := b.c.get(ctx, "/batches?limit=100"+after, &page); err != nil {
			return "", err
		}
		for _, o := range page.Data {
			if o.Metadata["retort"] == s.Marker {
				return o.ID, nil
			}
		}
		if !page.More || len(page.Data) == 0 {
			return "", nil
		}
		after = "&after=" + url.QueryEscape(page.Data[len(page.Data)-1].ID)
	}
}

func (b openAIBatches) look(ctx context.Context, batch string) (batchState, error) {
	var o openAIBatch
	if err := b.c.get(ctx, "/batches/"+url.PathEscape(batch), &o); err != nil {
		return batchState{}, err
	}
	state := batchState{batch: batch}
	for _, file := range []*string{o.Output, o.Errors} {
		if text(file) != "" {
			state.files = append(state.files, *file)
		}
	}
	switch o.Status {
	case "completed", "expired":
		state.over = true
	case "cancelled":
		state.over, state.canceled = true, true
	case "failed":
		state.over, state.err = true, errors.New("the server refuses it")
		if o.Faults != nil && len(o.Faults.Data) > 0 {
			f := o.Faults.Data[0]
			state.err = fmt.Errorf("%w: %s (%s)", state.err, short(f.Message), short(f.Code))
		}
	case "validating", "in_progress", "finalizing", "cancelling":
	default:
		return state, fmt.Errorf("status: %q is unknown", short(o.Status))
	}
	return state, nil
}

func (b openAIBatches) results(ctx context.Context, state batchState, each func(result) error) error {
	for _, file := range state.files {
		if err := b.c.lines(ctx, "/files/"+url.PathEscape(file)+"/content", func(line []byte) error {
			if r, ok := readOpenAILine(line); ok {
				return each(r)
			}
			return nil
		}); err != nil {
			return fmt.Errorf("file %s: %w", file, err)
		}
	}
	return nil
}

// readOpenAILine reads a result. A line that cannot be read is nobody's: its
// request is handed in again.
func readOpenAILine(line []byte) (result, bool) {
	var l struct {
		ID       string `json:"custom_id"`
		Response *struct {
			Status int             `json:"status_code"`
			Body   json.RawMessage `json:"body"`
		} `json:"response"`
		Error json.RawMessage `json:"error"`
	}
	if json.Unmarshal(line, &l) != nil || l.ID == "" {
		return result{}, false
	}
	r := result{key: l.ID}
	switch {
	case l.Response != nil && l.Response.Status == http.StatusOK:
		r.body = l.Response.Body
	case l.Response != nil && l.Response.Status != 0:
		r.failed = statusFailure(l.Response.Status, http.Header{}, l.Response.Body, time.Now())
	default: // expired or cancelled
		r.failed = &failure{verdict: again, err: insideError(l.Error)}
	}
	return r, true
}
