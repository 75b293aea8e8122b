package tokenizer

import "slices"

// behavior is what a split does with the matches ("behavior" in tokenizer.json).
type behavior string

const (
	removed            behavior = "Removed"
	isolated           behavior = "Isolated"
	mergedWithPrevious behavior = "MergedWithPrevious"
	mergedWithNext     behavior = "MergedWithNext"
	contiguous         behavior = "Contiguous"
)

// parseBehavior accepts "MergedWithNext" and "merged_with_next" alike: the
// library writes the first and older files hold the second.
func parseBehavior(c component, name string) (behavior, error) {
	switch name {
	case "Removed", "removed":
		return removed, nil
	case "Isolated", "isolated":
		return isolated, nil
	case "MergedWithPrevious", "merged_with_previous":
		return mergedWithPrevious, nil
	case "MergedWithNext", "merged_with_next":
		return mergedWithNext, nil
	case "Contiguous", "contiguous":
		return contiguous, nil
	}
	return "", c.errorf("behavior %q is not supported", name)
}

// apply returns the parts that are left of the spans of a text. It may change spans.
func (b behavior) apply(spans []span) []span {
	switch b {
	case removed:
		return slices.DeleteFunc(spans, func(s span) bool { return s.match })
	case contiguous:
		return joinSpans(spans, func(s, previous span) bool { return s.match == previous.match })
	case mergedWithPrevious:
		return joinSpans(spans, func(s, previous span) bool { return s.match && !previous.match })
	case mergedWithNext:
		slices.Reverse(spans)
		spans = joinSpans(spans, func(s, previous span) bool { return s.match && !previous.match })
		slices.Reverse(spans)
		return spans
	}
	return spans
}

// joinSpans joins each span to the one before it in the list where join says
// so of the two as they were cut.
func joinSpans(spans []span, join func(s, previous span) bool) []span {
	var out []span
	for i, s := range spans {
		if i > 0 && join(s, spans[i-1]) {
			last := &out[len(out)-1]
			last.start, last.end = min(last.start, s.start), max(last.end, s.end)
			continue
		}
		out = append(out, s)
	}
	return out
}
