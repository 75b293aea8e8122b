package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// What a failed attempt means for its request.
type verdict int

const (
	again  verdict = iota // try again
	refuse                // this request cannot be answered
	stop                  // none can
)

// failure is an attempt without an answer.
type failure struct {
	verdict verdict
	cause   string        // for the statistics: "429", "time-out", "connection", "cut", "damaged", "shape"
	busy    bool          // it was sent too early, not wrong
	wait    time.Duration // that the server asks for; 0 if it does not
	unpaid  bool          // it is known that nothing is billed
	err     error
}

// bodyError is an error as providers wrap it: an object with a message, or in
// some places the text alone.
type bodyError struct {
	Message string          `json:"message"`
	Type    string          `json:"type"`
	Status  string          `json:"status"` // of Gemini
	Code    json.RawMessage `json:"code"`   // a text or a number
	Param   string          `json:"param"`
}

func readError(raw json.RawMessage) bodyError {
	var e bodyError
	if json.Unmarshal(raw, &e) != nil && json.Unmarshal(raw, &e.Message) != nil {
		e.Message = string(raw)
	}
	return e
}

func (e bodyError) code() string { return strings.Trim(string(e.Code), `"`) }

func (e bodyError) String() string {
	s := short(e.Message)
	for _, more := range []string{e.Type, e.code(), e.Status} {
		if more != "" && more != "null" && !strings.Contains(s, more) {
			s += " (" + short(more) + ")"
		}
	}
	return s
}

// errorInside is an error in a response with status 200.
type errorInside struct{ bodyError }

func (e errorInside) Error() string { return "the server answers with an error: " + e.String() }

func insideError(raw json.RawMessage) error { return errorInside{readError(raw)} }

// noMoney lists what providers call an account that cannot pay.
var noMoney = []string{"insufficient_quota", "billing_hard_limit_reached", "billing_not_active", "insufficient_balance", "billing_error",
	"credit balance is too low", "insufficient credits", "insufficient balance", "account_deactivated"}

// statusFailure judges a response that is not 200.
func statusFailure(status int, h http.Header, body []byte, now time.Time) *failure {
	var wrapped struct {
		Error   json.RawMessage `json:"error"`
		Message string          `json:"message"` // of Mistral, vLLM of old
		Detail  json.RawMessage `json:"detail"`  // of FastAPI
	}
	message := ""
	list := []json.RawMessage{body}
	if json.Unmarshal(body, &list) == nil && len(list) > 0 { // Gemini wraps some errors in a list
		body = list[0]
	}
	if json.Unmarshal(body, &wrapped) != nil {
		message = plain(body)
	}
	e := readError(wrapped.Error)
	switch {
	case given(wrapped.Error):
		message = e.String()
	case wrapped.Message != "":
		message = short(wrapped.Message)
	case given(wrapped.Detail):
		message = short(string(wrapped.Detail))
	}
	f := &failure{cause: strconv.Itoa(status), wait: askedWait(h, now), unpaid: unpaid(status)}
	f.err = fmt.Errorf("the server answers %d %s", status, http.StatusText(status))
	if message != "" {
		f.err = fmt.Errorf("%w: %s", f.err, message)
	}
	f.verdict = judge(status)
	if status == http.StatusPaymentRequired || containsAny(strings.ToLower(message+" "+e.code()+" "+e.Type), noMoney) {
		f.verdict = stop
		f.err = fmt.Errorf("%w: the account cannot pay: add credit or raise its limit with the provider, then run again: what was answered is kept", f.err)
	}
	f.busy = f.verdict == again && (status == http.StatusTooManyRequests || status == 529 || status == http.StatusServiceUnavailable && f.wait > 0)
	switch {
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		f.err = fmt.Errorf("%w: see key_env, and what the key may do", f.err)
	case status == http.StatusNotFound:
		f.err = fmt.Errorf("%w: see base_url and model", f.err)
	case status >= 300 && status < 400:
		f.err = fmt.Errorf("%w: redirections are not followed: see base_url", f.err)
	}
	return f
}

func judge(status int) verdict {
	switch status {
	case http.StatusRequestTimeout, http.StatusConflict, http.StatusTooEarly, http.StatusTooManyRequests, 499:
		return again
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusPaymentRequired,
		http.StatusProxyAuthRequired, http.StatusGone, http.StatusNotImplemented, http.StatusHTTPVersionNotSupported:
		return stop
	}
	switch {
	case status >= 500:
		return again
	case status >= 400:
		return refuse
	}
	return stop // redirections, and successes that are none
}

// unpaid tells whether a status says that the server did nothing. Those of
// gateways do not: the server behind may have answered.
func unpaid(status int) bool {
	switch status {
	case http.StatusRequestTimeout, 499:
		return false
	case http.StatusServiceUnavailable, 529:
		return true
	}
	return status >= 300 && status < 500
}

func containsAny(s string, list []string) bool {
	for _, part := range list {
		if strings.Contains(s, part) {
			return true
		}
	}
	return false
}

// plain is what can be shown of a body that is not JSON, such as a page in HTML.
func plain(body []byte) string {
	s := strings.TrimSpace(string(body))
	if strings.HasPrefix(s, "<") {
		return "a page in HTML, as a proxy's or a web server's"
	}
	return short(s)
}

// short is a server's text, safe to be shown: one line, no controls, at most 300 bytes.
func short(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t' || r == '\r':
			return ' '
		case r == utf8.RuneError || !strconv.IsPrint(r):
			return -1
		}
		return r
	}, s[:min(len(s), 2000)])
	for len(s) > 300 {
		_, size := utf8.DecodeLastRuneInString(s)
		s = s[:len(s)-size]
	}
	return s
}

// insideFailure judges an error that came with status 200, as routers send it
// when the server behind them failed late. Its code may be the status.
func insideFailure(e errorInside) *failure {
	f := &failure{verdict: again, cause: "error in 200", err: e}
	if status, err := strconv.Atoi(e.code()); err == nil && status >= 400 && status < 600 {
		f.verdict = judge(status)
	}
	if containsAny(strings.ToLower(e.Message+" "+e.code()+" "+e.Type), noMoney) {
		f.verdict = stop
	}
	return f
}
