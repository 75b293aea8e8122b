package datasets

import (
	"fmt"
	"slices"
	"strings"
)

// Reason says why a row cannot be used.
type Reason string

// The reasons.
const (
	MissingColumn Reason = "missing_column" // JSON: the object lacks a key that others have
	RaggedRow     Reason = "ragged_row"     // CSV: more or fewer values than columns
	NullPrompt    Reason = "null_prompt"
	NullResponse  Reason = "null_response"
	NullID        Reason = "null_id"
	NullGroup     Reason = "null_group"
	EmptyPrompt   Reason = "empty_prompt" // nothing but white space
	EmptyResponse Reason = "empty_response"
	TooLong       Reason = "too_long"          // a prompt of more than max_prompt_chars
	LongResponse  Reason = "response_too_long" // a response of more than max_response_chars
	InvalidUTF8   Reason = "invalid_utf8"
	WrongType     Reason = "wrong_type"   // a list or struct where text is wanted, or the reverse
	DuplicateID   Reason = "duplicate_id" // an earlier row of the split has the id

	UnknownLabel  Reason = "unknown_label"  // neither a name in labels nor its number
	BadChoices    Reason = "bad_choices"    // not 2 to 26 different texts
	UnknownAnswer Reason = "unknown_answer" // it means none of the choices

	BadTurn        Reason = "bad_turn"        // a message that is no object, or its content no text
	NotText        Reason = "not_text"        // a message has a part that is an image, a sound or the like
	UnknownRole    Reason = "unknown_role"    // not system, developer, user, assistant or tool
	EmptyTurn      Reason = "empty_turn"      // a message without content or tool calls
	LateSystem     Reason = "late_system"     // a system turn that is not the first
	AssistantFirst Reason = "assistant_first" // the assistant answers before anybody asks
	NotAlternating Reason = "not_alternating" // two turns of a user or of the assistant one after the other
	StrayTool      Reason = "stray_tool"      // a tool's turn that does not follow the assistant's
	NoResponse     Reason = "no_response"     // the last turn is not the assistant's
	BadTools       Reason = "bad_tools"       // tools are no JSON array
	UnequalPair    Reason = "unequal_pair"    // chosen and rejected continue different conversations
)

// Rejection is one row that cannot be used.
type Rejection struct {
	File   string `json:"file"`
	Row    int    `json:"row"`            // from 0
	Line   int    `json:"line,omitempty"` // of a CSV file, where the row begins
	Reason Reason `json:"reason"`
}

// maxRejections is how many rows are listed one by one; all are counted.
const maxRejections = 100

// Drop says why an example that could be used is left out.
type Drop string

// The drops, in the order in which they are decided: an example that several
// would leave out counts for the first.
const (
	GroupElsewhere Drop = "group_elsewhere" // its group is in another split, too
	Conflict       Drop = "conflict"        // its prompt has another response elsewhere
	ExactDuplicate Drop = "exact_duplicate"
	NearDuplicate  Drop = "near_duplicate"
	Contaminated   Drop = "contaminated" // it shares a run of words with what models are measured on
	MixLeftOver    Drop = "mix"          // its source has more than its weight asks for
	LabelLeftOver  Drop = "balance"      // its label has more than balance allows
	limited        Drop = "limit"        // Counts.Unused
)

// drops are numbered by their place, from 1.
var drops = []Drop{GroupElsewhere, Conflict, ExactDuplicate, NearDuplicate, Contaminated, MixLeftOver, LabelLeftOver, limited, duplicateIDDrop}

// duplicateIDDrop marks rows that turn out to be rejected once all ids are known.
const duplicateIDDrop Drop = "duplicate_id"

// Counts says what became of the rows read.
type Counts struct {
	Rows     int            `json:"rows"`     // read from all files
	Examples map[string]int `json:"examples"` // kept, per split, repetitions included
	Rejected map[Reason]int `json:"rejected"`
	Unused   int            `json:"unused"` // usable and left out by limit

	Dropped   map[string]map[Drop]int   `json:"dropped,omitempty"`    // usable and left out for another reason, per split
	Repeated  map[string]int            `json:"repeated,omitempty"`   // of the examples, those that are there already, per split
	Truncated map[string]int            `json:"truncated,omitempty"`  // "prompt" and "response": usable, and cut to the length allowed
	PerSource map[string]map[string]int `json:"per_source,omitempty"` // examples per mixed source and split
}

// reasons lists the counts of rejected rows: " (3 null_prompt, 1 too_long)".
func (c Counts) reasons() string {
	var parts []string
	for reason, n := range c.Rejected {
		parts = append(parts, fmt.Sprintf("%d %s", n, reason))
	}
	if len(parts) == 0 {
		return ""
	}
	slices.Sort(parts)
	return " (" + strings.Join(parts, ", ") + ")"
}
