package main

import (
	"math/rand/v2"
	"strings"
	"unicode"
)

// What people write around the matter.
var (
	greetings = []phrase{
		"Hi,", "Hello,", "Hi there,", "Good morning,", "Hey,", "Dear support,", "Dear Sir or Madam,", "Hello Quillbase team,",
		"Hi, {name} from {firm} here.", "Good afternoon, this is {name} of {firm}.",
	}
	chatter = []phrase{
		"[We've been|I've been] with you for [three|five|two] years.", "I'm not very good with computers.",
		"[Great product|We like it] otherwise.", "[I searched your help pages|I read the help page] [and found nothing|twice].",
		"We are a small {shop} [in the north|by the sea|with {few}].", "[Restarted|I restarted] everything[, no change|].",
		"I use {browser}.", "[My account is|Customer number] {number}.", "[Maybe|Perhaps] I'm doing something wrong.",
		"[Your chat bot was no help.|The phone line was busy.]", "{name} told me to write here.",
	}
	closings = []phrase{
		"Thanks!", "Thank you.", "Thanks in advance", "Best regards, {name}", "Regards\n{name}\n{firm}", "Cheers, {name}",
		"Kind regards", "Many thanks, {name} ({firm})", "Looking forward to your reply.",
	}
	mentions = []phrase{ // {} is the other matter
		"[By the way|Btw], {} [is sorted|worked out], thanks.", "This is not about {}, [that one is fine|that is settled].",
		"[I wrote about {} before|We talked about {} {ago}], [please don't mix the two|this is something else].",
		"(And thanks for [your help|the quick help] with {}.)", "I don't mean {}, that is done.",
	}
	shortForms = strings.NewReplacer("please", "pls", "Please", "pls", "you", "u", "Thanks", "thx", "because", "cuz",
		"and ", "& ", "tomorrow", "tmrw", "account", "acct", "before", "b4")
)

// channel is how tickets come in and how people write there: chances in percent.
type channel struct {
	name                       string
	weight                     int
	greeting, chatter, closing int
	lower, short, typos        int
}

var channels = []channel{
	{name: "email", weight: 45, greeting: 75, chatter: 45, closing: 75, lower: 4, short: 1, typos: 18},
	{name: "form", weight: 25, greeting: 20, chatter: 30, closing: 20, lower: 12, short: 4, typos: 25},
	{name: "chat", weight: 22, greeting: 25, chatter: 15, closing: 8, lower: 65, short: 35, typos: 45},
	{name: "app", weight: 8, greeting: 5, chatter: 10, closing: 3, lower: 40, short: 20, typos: 40},
}

func chance(random *rand.Rand, percent int) bool { return random.IntN(100) < percent }

// roughen writes text the way the channel does: hurried, on a phone, angry.
func (c channel) roughen(random *rand.Rand, text string, priority int) string {
	if chance(random, c.short) {
		text = shortForms.Replace(text)
	}
	if chance(random, c.lower) {
		text = strings.ToLower(text)
		if chance(random, 40) {
			text = strings.NewReplacer(". ", " ", "'", "", ", ", " ").Replace(strings.TrimRight(text, ".!"))
		}
	} else if chance(random, 2+4*priority) { // shouting is a hint, not a proof
		text = strings.ToUpper(text)
	}
	if chance(random, c.typos) {
		for range 1 + random.IntN(3) {
			text = slip(random, text)
		}
	}
	if chance(random, 6) {
		text = strings.TrimRight(text, ".!") + pick(random, []string{"!!", "???", " :(", " :-)", "…", " !!!"})
	}
	return text
}

// slip makes one typing mistake inside a word.
func slip(random *rand.Rand, text string) string {
	runes := []rune(text)
	for range 20 {
		i := 1 + random.IntN(len(runes))
		if i+1 >= len(runes) || !unicode.IsLetter(runes[i-1]) || !unicode.IsLetter(runes[i]) || !unicode.IsLetter(runes[i+1]) {
			continue
		}
		switch random.IntN(4) {
		case 0:
			runes[i], runes[i+1] = runes[i+1], runes[i]
		case 1:
			runes = append(runes[:i], runes[i+1:]...)
		case 2:
			runes = append(runes[:i+1], runes[i:]...)
		case 3:
			runes[i] = 'a' + rune(random.IntN(26))
		}
		break
	}
	return string(runes)
}
