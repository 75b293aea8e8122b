// Package api holds the teachers behind HTTP APIs: servers that speak as
// OpenAI's, Anthropic's or Google's do. Client asks for answers one by one,
// many at a time; Batcher hands them in through the batch APIs, at half the
// price; Recorded looks up answers that somebody else has asked for.
//
// A provider is a wire: it writes a distill.Request as the provider wants it
// and reads what comes back. All else, namely limits, repetitions, money and
// cancellation, is written once, in Client.
//
// # Money
//
// Before each attempt its worst case is reserved from the purse: every byte of
// the request's body as a token, some more for what servers add, and the longest
// answer. No tokenizer of today makes more tokens than bytes of a text. After
// it, what the server says is paid. Where it does not say, because the
// connection was cut, the time was over, the answer is damaged or has no usage,
// the worst case is taken as paid: what was spent is never more than what is
// counted. Free are attempts that never reached the server, and its refusals:
// 3xx, 4xx but 408 and 499, 503 and 529.
//
// # Cancellation
//
// When ctx ends, nothing more is sent and all waiting is over; what is under way
// may arrive for Options.Grace and goes to done, as it is paid for. Then it is
// cut. Answer returns ctx's error after that: done must not use that ctx to
// store. An error that ends the call (a wrong key, an empty purse) is treated
// likewise, without the limit of time.
package api
