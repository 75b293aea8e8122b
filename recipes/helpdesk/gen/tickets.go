package main

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strings"
)

// ticket is one row: the text to sort, and label = "intent priority".
type ticket struct {
	ID       string `parquet:"id"`
	Text     string `parquet:"text"`
	Label    string `parquet:"label"`
	Intent   string `parquet:"intent"`
	Priority string `parquet:"priority"`
	Channel  string `parquet:"channel"`
}

// How often, in percent, a ticket is out of the ordinary.
const (
	mislabelled = 4 // whoever sorted it was careless
	unclear     = 4 // nothing says how much it matters
	otherMatter = 22
)

// tickets returns n tickets with different texts, the same for the same seed.
func tickets(n int, seed uint64) []ticket {
	var key [32]byte
	copy(key[:], "helpdesk.tickets")
	binary.LittleEndian.PutUint64(key[24:], seed)
	random := rand.New(rand.NewChaCha8(key))
	rows := make([]ticket, 0, n)
	seen := map[string]bool{}
	for len(rows) < n {
		row := newTicket(random)
		if seen[row.Text] {
			continue
		}
		seen[row.Text] = true
		row.ID = fmt.Sprintf("T-%05d", len(rows)+1)
		rows = append(rows, row)
	}
	return rows
}

func newTicket(random *rand.Rand) ticket {
	weights := make([]int, len(intents))
	for i := range intents {
		weights[i] = intents[i].weight
	}
	topic := weighted(random, weights)
	priority := weighted(random, intents[topic].priority[:])
	by := channels[weighted(random, []int{channels[0].weight, channels[1].weight, channels[2].weight, channels[3].weight})]
	text := by.roughen(random, compose(random, by, topic, priority), priority)
	if chance(random, mislabelled) {
		topic, priority = misread(random, topic, priority)
	}
	row := ticket{Text: text, Intent: intents[topic].name, Priority: priorities[priority], Channel: by.name}
	row.Label = row.Intent + " " + row.Priority
	return row
}

// compose puts the parts of a ticket in an order that people use.
func compose(random *rand.Rand, by channel, topic, priority int) string {
	parts := []string{pick(random, intents[topic].says).say(random)}
	if chance(random, by.chatter) {
		at := random.IntN(2)
		parts = append(parts[:at], append([]string{pick(random, chatter).say(random)}, parts[at:]...)...)
	}
	if !chance(random, unclear) {
		cue := pick(random, cues(intents[topic], priority)).say(random)
		if chance(random, 20) { // some say first how much it matters
			parts = append([]string{cue}, parts...)
		} else {
			parts = append(parts, cue)
		}
	}
	if chance(random, otherMatter) {
		at := random.IntN(len(parts) + 1)
		parts = append(parts[:at], append([]string{mention(random, topic)}, parts[at:]...)...)
	}
	if chance(random, by.greeting) {
		parts = append([]string{pick(random, greetings).say(random)}, parts...)
	}
	if chance(random, by.closing) {
		parts = append(parts, pick(random, closings).say(random))
	}
	for i, part := range parts {
		parts[i] = sentence(part)
	}
	return strings.Join(parts, " ")
}

// mention speaks of a matter other than the topic.
func mention(random *rand.Rand, topic int) string {
	other := random.IntN(len(intents) - 1)
	if other >= topic {
		other++
	}
	text := string(pick(random, mentions))
	aside := string(pick(random, asides[intents[other].name]))
	return phrase(strings.ReplaceAll(text, "{}", aside)).say(random)
}

// sentence begins a part with a capital and drops the spaces that an empty
// choice leaves behind.
func sentence(text string) string {
	text = strings.TrimRight(strings.ReplaceAll(text, "  ", " "), " ")
	return strings.ToUpper(text[:1]) + text[1:]
}

// misread is how tickets get a wrong label: mostly a priority one off, else an
// intent that is handled by the same people.
func misread(random *rand.Rand, topic, priority int) (int, int) {
	if chance(random, 60) {
		switch {
		case priority == medium:
			priority = pick(random, []int{low, high})
		default:
			priority = medium
		}
		return topic, priority
	}
	confused := map[string]string{
		"refund": "payment", "invoice": "refund", "payment": "invoice", "login": "access", "outage": "bug", "bug": "outage",
		"delivery": "hardware", "hardware": "delivery", "cancel": "plan", "plan": "cancel", "access": "login", "export": "bug",
	}
	for i := range intents {
		if intents[i].name == confused[intents[topic].name] {
			return i, priority
		}
	}
	panic("an intent that is confused with none")
}
