package hub

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"
)

// maxUndeclared is how long a file may be of which the server says no size.
const maxUndeclared = 16 << 20

// maxTries bounds how often one file is asked for, however many pieces it comes in.
const maxTries = 1000

// fetch fills the file at name with the content of f, continuing what is there.
func (p *pull) fetch(ctx context.Context, f file, name string) (err error) {
	out, err := p.root.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	furthest, fruitless := int64(0), 0
	for range maxTries {
		have, complete, err := p.part(ctx, f, out)
		if complete {
			return out.Sync()
		}
		if fruitless++; have > furthest {
			furthest, fruitless = have, 1
		}
		if err := p.c.rest(ctx, fruitless, err); err != nil {
			return err
		}
	}
	return fmt.Errorf("the server cut it %d times", maxTries)
}

// part receives what one request brings of f, from where out ends. It returns
// how many bytes there are, and whether they are all of f.
func (p *pull) part(ctx context.Context, f file, out *os.File) (have int64, complete bool, err error) {
	if have, err = out.Seek(0, io.SeekEnd); err != nil {
		return 0, false, permanent{err}
	}
	if have > f.size { // of another program, or there is no size to compare
		if have, err = 0, out.Truncate(0); err != nil {
			return 0, false, permanent{err}
		}
	}
	if have == f.size {
		return have, true, nil
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	in := &watched{cancel: cancel, stall: p.c.stall}
	defer in.start().Stop()
	resp, have, err := p.ask(ctx, f, have)
	if err != nil {
		return have, false, silence(ctx, err)
	}
	defer resp.Body.Close()
	if _, err := out.Seek(have, io.SeekStart); err != nil {
		return have, false, permanent{err}
	}
	if err := out.Truncate(have); err != nil {
		return have, false, permanent{err}
	}
	in.r = resp.Body
	have, err = p.receive(f, resp, in, out, have)
	if err == nil && f.size >= 0 && have < f.size {
		err = fmt.Errorf("the server ended it after %d of %d bytes", have, f.size)
	}
	return have, err == nil, silence(ctx, err)
}

// silence is err, or why the request was ended.
func silence(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// receive copies an answer to out, whose first have bytes are there.
func (p *pull) receive(f file, resp *http.Response, in io.Reader, out *os.File, have int64) (int64, error) {
	limit := f.size
	if limit < 0 {
		limit = maxUndeclared
	}
	if resp.ContentLength > limit-have {
		return have, permanent{fmt.Errorf("the server sends %d bytes more than it declared", resp.ContentLength-(limit-have))}
	}
	buffer := make([]byte, 256<<10)
	for {
		n, err := in.Read(buffer)
		if have+int64(n) > limit {
			return have, permanent{fmt.Errorf("the server sends more than %d bytes", limit)}
		}
		if _, err := out.Write(buffer[:n]); err != nil {
			return have, permanent{err} // a full disk, say
		}
		have += int64(n)
		p.tell(f, have, false)
		if errors.Is(err, io.EOF) {
			return have, nil
		}
		if err != nil {
			return have, err
		}
	}
}

// ask requests f from byte have on, and returns from where it comes.
func (p *pull) ask(ctx context.Context, f file, have int64) (*http.Response, int64, error) {
	var header map[string]string
	if have > 0 {
		header = map[string]string{"Range": fmt.Sprintf("bytes=%d-", have)}
	}
	resp, err := p.c.request(ctx, p.whole, http.MethodGet, p.address(f.path), header)
	if err != nil {
		return nil, have, err
	}
	if c := resp.Header.Get("X-Repo-Commit"); c != "" && c != p.commit {
		resp.Body.Close()
		return nil, have, permanent{fmt.Errorf("the server has it of commit %q, not %s", printable(c), p.commit)}
	}
	switch resp.StatusCode {
	case http.StatusOK: // all of it, whatever was asked for
		return resp, 0, nil
	case http.StatusPartialContent:
		var from, to, size int64
		_, err := fmt.Sscanf(resp.Header.Get("Content-Range"), "bytes %d-%d/%d", &from, &to, &size)
		if err == nil && have > 0 && from == have && size == f.size {
			return resp, have, nil
		}
		err = fmt.Errorf("the server answers a request from byte %d on with the range %q", have, printable(resp.Header.Get("Content-Range")))
		resp.Body.Close()
		return nil, have, permanent{err}
	}
	err = badStatus(resp)
	resp.Body.Close()
	return nil, have, err
}

// watched reads from a server, and ends the request when nothing comes.
type watched struct {
	r      io.Reader
	cancel context.CancelCauseFunc
	stall  time.Duration
	timer  *time.Timer
}

// start begins the watch; the caller stops the timer.
func (w *watched) start() *time.Timer {
	w.timer = time.AfterFunc(w.stall, func() { w.cancel(fmt.Errorf("the server sent nothing for %s", w.stall)) })
	return w.timer
}

func (w *watched) Read(b []byte) (int, error) {
	n, err := w.r.Read(b)
	w.timer.Reset(w.stall)
	return n, err
}
