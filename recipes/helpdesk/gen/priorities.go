package main

import "slices"

// The priorities, by how much a ticket says it matters: how many people are
// held up, by when, and whether there is a way around.
var priorities = [3]string{"low", "medium", "high"}

const (
	low = iota
	medium
	high
)

// matters says the priority. Many phrases share words across priorities, and
// some turn round at the end, so that single words do not settle it.
var matters = [3][]phrase{
	low: {
		"[No rush|No hurry|There's no hurry][.| at all.| from our side.| with this one.]",
		"[Not urgent|It's not urgent|Nothing urgent][.|, just wanted to let you know.|, whenever you get round to it.]",
		"[Whenever you have|When you find] [time|a minute][.|, no deadline.]",
		"[Next week|Next month|Some time this quarter] is [fine|early enough|soon enough].",
		"[We have|I have] a way around it [that works|and can live with it].",
		"It's [only cosmetic|a small thing|just for our files|more of a question].",
		"[It was urgent {ago}, today it no longer is.|This was an emergency {ago}, but not any more.]",
		"I know you have [urgent|more important] things [to do|on the table], this isn't one[ of them|].",
		"[Only I am affected|It's just me|Just my own laptop] and [I can work without it|it doesn't stop me].",
		"If [the whole team were|all of us were] stuck I'd [call|shout], but it's [one old tablet we hardly use|one person who is on holiday anyway].",
		"[The deadline was moved to next year, so take your time.|The audit is over, so no pressure now.]",
		"[Just curious.|Just asking.|Only for my understanding.]",
		"[We open again after the holidays|The {shop} is closed until spring], so [nobody is waiting|it can wait].",
		"[No customer has noticed|Nobody has complained] [so far|yet], and [I don't think they will|it hardly matters].",
	},
	medium: {
		"[It would be good|Would be great] to have this [by {weekday}|this week|by the end of the week|in the next days].",
		"[Please look into it|Please have a look|I'd appreciate an answer] [this week|in the next two days|by {weekday}].",
		"[It slows {few} down|It costs {few} an hour a day|{few} are held up by it], [but we manage|though we get by|the others can work].",
		"[We can manage for a few days|We get by with paper for now], [but not much longer|not for ever though].",
		"Not an emergency, but [it's a nuisance|it's getting annoying|it can't stay like this].",
		"[This is the second time I'm asking|I already wrote {ago}], [please get back to me|an answer would be nice].",
		"It's not urgent in itself, but [{few} have been waiting since {weekday}|it has to be done before the month ends].",
		"[There's a workaround|There is a way around it], but it [takes twice as long|doubles the work for {few}].",
		"[{boss} asks|{boss} keeps asking] about it [every other day|in our weekly meeting].",
		"[Some|A few] customers [have asked|have noticed|complained][| about it], [not many, but it adds up|so it should not drag on].",
		"[It happens every other day|It comes and goes], [and each time {few} have to start over|which makes planning hard].",
		"[We have until|The deadline is] [the end of next week|the 15th|{weekday} week][.|, so there is some time, not a lot.]",
		"[I can wait until {weekday}|A day or two is all right], [longer is difficult|after that it gets tight].",
	},
	high: {
		"[We need this|This has to be solved|I need it] [today|within the hour|before noon|right away|in the next two hours].",
		"[The audit|Payroll|The tax deadline|Our opening|The trade fair] is [tomorrow|tonight|in three hours][.| and we have nothing.]",
		"[Please escalate this.|Get someone to call me now.|I need a human on the phone now.]",
		"[Usually I'd say no rush|Normally this could wait], but [we open in two hours|the inspector is here today|{many} depend on it this afternoon].",
		"Last week I told you to take your time, [now the auditor is coming tomorrow|today it stands between us and closing the year].",
		"If I don't [hear from you today|get an answer in the next hour], [we go to our lawyer|we take our business elsewhere|I call the bank and the consumer office].",
	},
}

// halted says high for what stops the customer's work, pressed for what does
// not: money and papers.
var (
	halted = []phrase{
		"[Nobody here can work|{many} can't work|Work has stopped for {many}][.|!| because of this.]",
		"[We are losing|This costs us] [sales|customers|{bigsum}] [every hour|by the hour|as I write this].",
		"[Customers are|A queue of customers is] [standing at the till|waiting in front of me|walking out][ right now|].",
		"[There is no way around it|No workaround|Nothing we tried helps] and [the {shop} is closed because of it|{many} are sitting idle].",
		"[All tills|All {device}s|Both entrances] are [affected|stopped], [on the busiest day of the year|with a full house].",
		"[Not just me|It's not only my laptop], [{many} are stuck|it's {many}].",
		"[I can't pay my staff|We can't open|Patients are being sent home] [until this is fixed|like this].",
	}
	pressed = []phrase{
		"[The account is overdrawn|Our account is in the red] because of it and [rent is due tomorrow|wages go out tonight].",
		"[It's {bigsum}|We're talking about {bigsum}], [I need a person on this today|this can't wait until {weekday}].",
		"[Our accountant files|The tax office wants everything|The bank closes the case] [today|at noon|tomorrow morning].",
		"[It renews|The next charge is] [tonight|tomorrow|at midnight], so [it must happen before|after that it's too late].",
		"[This is my fourth mail|I've called five times], [I want this settled today|next you hear from our lawyer].",
		"[The inspector|The auditor|Our investor] is [sitting here|in the next room|here at two] and [asks for exactly this|we can't go on without it].",
	}
)

// cues are the phrases that say the priority of a ticket on a topic.
func cues(topic intent, priority int) []phrase {
	if priority != high {
		return matters[priority]
	}
	if topic.halts {
		return slices.Concat(matters[high], halted)
	}
	return slices.Concat(matters[high], pressed)
}
