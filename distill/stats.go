package distill

import "fmt"

// Stats counts what Collect did.
type Stats struct {
	Requests int // pulled
	Repeated int // equal to an earlier request, and so not asked again
	Failed   int // for good, without an answer
	Failures []Failure
	Cached   Tally // answered from the store; Cost is what was saved
	Fresh    Tally // answered by the teacher now, one by one
	Batch    Tally // answered by the teacher now, through a batch API
	// Retried are the answers that took several attempts, and the failures: Calls
	// are the attempts before the last, and of failures all; Cost is theirs.
	Retried struct {
		Answers, Calls int
		Cost           Money
	}
}

// Tally sums up answers.
type Tally struct {
	Answers int
	Usage
	Cost Money
}

// Failure is a request that failed for good.
type Failure struct {
	Index int // of the request
	Error string
}

// failuresListed bounds Stats.Failures.
const failuresListed = 10

// Spent is what the call cost.
func (s *Stats) Spent() Money { return s.Fresh.Cost + s.Batch.Cost + s.Retried.Cost }

// Answered is how many answers the teacher gave now.
func (s *Stats) Answered() int { return s.Fresh.Answers + s.Batch.Answers }

// Err is a *FailedError if requests failed for good; otherwise nil.
func (s *Stats) Err() error {
	if s.Failed == 0 {
		return nil
	}
	return &FailedError{Failed: s.Failed, Asked: s.Failed + s.Answered(), First: s.Failures}
}

// FailedError says that a teacher could not answer some requests.
type FailedError struct {
	Failed, Asked int
	First         []Failure // the first of them
}

func (e *FailedError) Error() string {
	text := fmt.Sprintf("%d of %d requests failed", e.Failed, e.Asked)
	for _, f := range e.First {
		text += fmt.Sprintf("\n  request %d: %s", f.Index, f.Error)
	}
	if more := e.Failed - len(e.First); more > 0 {
		text += fmt.Sprintf("\n  and %d more", more)
	}
	return text
}

func (t *Tally) add(u Usage, cost Money) {
	t.Answers++
	t.PromptTokens += u.PromptTokens
	t.CachedTokens += u.CachedTokens
	t.AnswerTokens += u.AnswerTokens
	t.ReasoningTokens += u.ReasoningTokens
	t.Cost += cost
}

func (s *Stats) count(a Answer) {
	if a.Batch {
		s.Batch.add(a.Usage, a.Cost)
	} else {
		s.Fresh.add(a.Usage, a.Cost)
	}
	if a.Attempts > 1 {
		s.Retried.Answers++
		s.Retried.Calls += a.Attempts - 1
	}
	s.Retried.Cost += a.RetryCost
}

func (s *Stats) fail(i int, a Answer) {
	s.Failed++
	s.Retried.Calls += a.Attempts
	s.Retried.Cost += a.Cost + a.RetryCost
	if len(s.Failures) < failuresListed {
		s.Failures = append(s.Failures, Failure{Index: i, Error: a.Error})
	}
}
