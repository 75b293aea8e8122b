package main

// An intent is what a ticket wants. Its phrases say what is wrong without
// saying how much it matters.
type intent struct {
	name     string
	weight   int    // how often
	priority [3]int // how often low, medium, high
	halts    bool   // can bring the customer's work to a halt
	says     []phrase
}

var intents = []intent{
	{"refund", 11, [3]int{25, 50, 25}, false, []phrase{
		"[I was|we were|somebody got] charged twice for {month}[, please send one of them back| and I'd like the second one back|. One of the two has to come back to us].",
		"[Please|Could you|Can you] [refund|return|pay back] the {sum} [you took|that were taken] {ago}[.|, we never used that month.|, it was taken in error.]",
		"I [want|would like|need] my money back for the [{plan} plan|{device}|unused months]. [It was {sum}.|]",
		"You took {sum} {ago} [although|even though] [we had already stopped|the trial was not over|the order was called off]. [I expect that back.|When do I get it back?|Please reverse it.]",
		"[Where is|What happened to|Still waiting for] [my|our] refund [of {sum}|for order {number}]? [It was promised {ago}.|I was told five days.|Nothing on the account so far.]",
		"The {device} went back to you {ago} but the {sum} [have not arrived|never came back|are still missing on our account].",
		"[There are two identical charges|I see the same amount twice] on my statement, [{sum} each|both from you]. [Send one back please.|One of them is yours to return.]",
		"We overpaid by {sum} and [would like that returned|want it back on the same card|don't want a credit note, we want the money].",
	}},
	{"invoice", 11, [3]int{50, 38, 12}, false, []phrase{
		"[I need|Please send|Could you send] [a copy of|] the invoice for {month}[, I can't find it in the mail|, {boss} is asking for it|].",
		"The [invoice|bill] {number} [shows the wrong address|has our old company name|is missing the VAT number|has the wrong date on it]. [Please correct it.|Can it be reissued?]",
		"[We moved|We changed our name] and the [invoices|bills] still [go to the old address|carry the old name].",
		"[Why is|How come] the VAT on {number} [calculated at the wrong rate|listed twice|zero]? [{boss} can't book it like this.|]",
		"[Can the|Could the|I'd like the] invoices [be sent|go] [to our accounting address|to {boss} directly|as PDF instead of a link]?",
		"Invoice {number} [lists|has] [six seats|two readers] [but|and] [we only have four|we ordered one]. [Please issue a corrected one.|Fix the document please, we have not paid it yet.]",
		"I can't [open|download|print] the [PDF of the|] invoice[s] from {month}[, the link is dead|, it says not found|].",
		"{boss} says our [{month}|last] invoice [lacks a purchase order number|needs the full company name on it].",
	}},
	{"payment", 9, [3]int{15, 50, 35}, false, []phrase{
		"[My|Our] card [was declined|keeps getting declined|is refused] when [I try to pay|paying] for the subscription[, the bank says everything is fine on their side|, it worked last month|].",
		"[The|Our] monthly payment [failed|did not go through|bounced] {ago}. [Can you try again?|What do I do?|The card is valid.]",
		"I [entered|added|saved] a new card [but|and] [you keep charging the old one|the page says payment method invalid|it does not stick].",
		"[How do I|I want to|We'd like to] [pay by bank transfer|switch to direct debit|change the card we pay with][. The form only takes cards.|?|, the button is greyed out.]",
		"[Got|We got] a mail that [our payment is overdue|the account has a balance], but [the {sum} left our bank|the transfer was sent] {ago}.",
		"The checkout [hangs|spins for ever|gives error {number}] when I [press pay|confirm the card].",
		"The bank [wants|asks for] a confirmation code for your charge and [the window never opens|the code is never accepted].",
		"[Tried three cards|Tried again and again], none [goes through|is accepted] for [the renewal|our {plan} subscription].",
	}},
	{"login", 12, [3]int{20, 45, 35}, true, []phrase{
		"I [can't|cannot|can no longer] [log in|sign in|get into my account][. It says wrong password, which it isn't.|, the page just reloads.|.]",
		"The [reset|password] [mail|link] [never arrives|has expired every time I click it|does not come, I checked spam].",
		"[I|My colleague] [got a new phone|lost the phone] and [the sign-in code goes to the old one|now the two-step codes are gone].",
		"[My account is|I'm] locked [after too many attempts|out since {weekday}|and I don't know why].",
		"The [six digit code|text message code] [is always rejected|comes ten minutes late|does not arrive].",
		"It [asks|keeps asking] [for my password again every few minutes|me to sign in again and again] [on|in] {browser}.",
		"[Password|My password] [no longer works|was changed and not by me|is not accepted since your update]. [Username is correct.|]",
		"I [don't remember|forgot] which mail address [I registered with|my account is under][ and so I can't get in|].",
		"[Login|Signing in] [with Google|with our company account] [ends in a white page|throws error {number}|goes round in circles].",
	}},
	{"outage", 10, [3]int{6, 34, 60}, true, []phrase{
		"[Quillbase|The site|The app|Everything|Your service] is [down|not reachable|offline|dead] [since {digit} o'clock|since this morning|again|right now].",
		"[Nothing loads|No page loads|All pages time out], [only|just] [a grey screen|error 503|the spinning wheel].",
		"[The system|Quillbase|The {page}] is [extremely slow|crawling|painfully slow] [today|since {weekday}|every afternoon][, a page takes a minute|].",
		"[Your servers|Your status page says all green, but the servers] [don't respond|keep dropping out] [here|on our side|in all browsers].",
		"[We get|I get] [server error|gateway timeout|connection lost] [on every click|for every booking|wherever we go].",
		"[Bookings|Card payments|Text reminders] [have stopped working|are not coming through|are all failing] [since {digit} am|for the last hour|since the maintenance], [across the board|at every till|on all our devices].",
		"The [connection|service] [drops|goes away] [every few minutes|again and again] [and comes back|] [today|since {weekday}].",
	}},
	{"bug", 10, [3]int{42, 40, 18}, true, []phrase{
		"The {page} [shows|displays] [the wrong times|times one hour off|last year's numbers|everything twice].",
		"When I [save|edit|drag] [a booking|an appointment|a customer], [it jumps to another day|the note is gone|the name changes|the app closes].",
		"The [search|filter|sort button] [on the|in the] {page} [ignores umlauts|finds nothing|does nothing when clicked].",
		"[Since the last update|After the update] the {page} [is cut off on the right|has overlapping text|flickers] in {browser}.",
		"[Totals|The totals|The sums] in the {page} [don't add up|are wrong|are off by one cent].",
		"[Reminders|Confirmation mails] [go out|are sent] [twice|to the wrong customer|with the wrong date][ for some bookings|].",
		"[Found|I found|There is] a [bug|mistake|strange thing]: [if you|when you] [delete a customer|open two tabs|change the month], the {page} [stays empty|shows somebody else's data|crashes].",
		"There is a [typo|spelling mistake|wrong word] [in|on] the {page}[: it says 'recieved'|].",
	}},
	{"delivery", 8, [3]int{32, 43, 25}, true, []phrase{
		"[Where is|When will I get|Any news on] [my|our] [order|parcel|{device}]? [Ordered {ago}.|The order number is {number}.|The tracking has not moved for days.]",
		"[The tracking|DHL|The courier] says delivered, [but nothing came|but there is no parcel here|we got nothing].",
		"[The parcel|The {device}|My order] [was sent|went] to [our old address|the wrong town|a neighbour nobody knows].",
		"[Can you|Is it possible to] [change the delivery address|deliver to another branch|hold the parcel] for order {number}?",
		"[We ordered two readers and only one came.|The box was there but the charger was missing.|Half of order {number} is missing.] [When does the rest follow?|]",
		"Order {number} [is stuck in customs|has been 'in preparation' for a week|still says processing].",
		"The courier [came twice while we were closed|left a card] and [now|] the [parcel|{device}] [is on its way back|can't be found].",
	}},
	{"hardware", 9, [3]int{18, 42, 40}, true, []phrase{
		"[The|Our] {device} [won't turn on|does not charge any more|stays black|keeps restarting].",
		"The {device} [doesn't read|refuses|no longer takes] [contactless|chip|any] cards[.|, the light blinks red.|, it beeps three times.]",
		"[The screen|The display] of the {device} [is cracked|shows only stripes|went blank].",
		"[The {device} can't|My {device} doesn't] [find|connect to] the [wifi|phone|tablet][ any more|]. [I restarted it.|Pairing fails.|]",
		"The [printer|paper feed|battery] [in|of] the {device} [is jammed|is dead|lasts twenty minutes|rattles].",
		"[The {device} shows|We see] error {number} [on the {device}|] [after every card|when starting].",
		"[Dropped|I dropped] [the {device}|coffee over the {device}] {ago} and [now it is dead|the buttons stick|it only works upside down].",
	}},
	{"cancel", 8, [3]int{42, 43, 15}, false, []phrase{
		"[I want|We want|I'd like|We have decided] to [cancel|end|terminate] [our|my|the] [subscription|account|contract][ at the end of the month|].",
		"[Please|Kindly] [close|delete|shut down] [my|our] account[ for {firm}|]. [We no longer need it.|We're going with someone else.|]",
		"[How do I|Where can I] [cancel|unsubscribe|end this]? [I can't find the button.|The settings only offer an upgrade.|]",
		"[We are|I am] [closing the {shop}|retiring|selling the business] and [won't need|no longer need] [Quillbase|the subscription].",
		"[Please do not renew|Stop the renewal of|I don't want to renew] [our|the] {plan} [plan|contract].",
		"I [cancelled|gave notice] {ago} [and it still says active|but nobody confirmed]. [Please confirm the end date.|]",
		"[Not happy|It's not for us], [please stop the subscription|take us off the list of customers|we'd like out].",
	}},
	{"plan", 7, [3]int{55, 37, 8}, false, []phrase{
		"[I'd like|We want|We'd like] to [upgrade|move|switch] [to|from Solo to] [the Studio plan|Workshop|Team|the Team plan].",
		"[What is|Can you explain] the difference between [Solo and Studio|Studio and Workshop|Workshop and Team]? [There are [four|nine|fifteen] of us.|]",
		"[Can we|How do we] [add|get] [two more seats|another location|the reminder package] [on|to|with] our [plan|subscription]?",
		"[We'd like|Please switch us] to [yearly billing|the yearly plan|monthly billing].",
		"[We don't need five seats any more, please take us down to three.|Please downgrade us to Solo.|The {plan} plan is too big for us now, can we go one down?]",
		"[Is there|Do you offer] a [discount|cheaper plan] for [schools|charities|more than ten seats]?",
		"[The upgrade|My upgrade] to {plan} [is not active yet|did not unlock the extra features][, it still shows Solo|].",
	}},
	{"access", 8, [3]int{35, 45, 20}, true, []phrase{
		"[Please|Could you] give [{name}|our new colleague|{boss}] [access|rights] to the {page}.",
		"[{name}|A colleague] [can't see|is not allowed to open|has no permission for] the {page}. [I'm the owner.|]",
		"[I can't|How do I] [invite|add] [a new user|{name}|my accountant][? The invite button is missing.|, it says limit reached.|.]",
		"[{name} has left|Our manager left] and [was the only admin|nobody else has admin rights]. [Please make me admin.|How do I take over?]",
		"[A former employee|Someone who left us] [still has access|is still listed as admin]. [Please remove them.|How do I take that away?]",
		"[The invitation|My invite] for {name} [expired|went to the wrong address]. [Please send a new one.|]",
		"[Everyone|Every user] in our account [can see|can change] the [prices|salaries|reports], [is there a way to restrict that|that should be owners only].",
	}},
	{"export", 7, [3]int{48, 38, 14}, false, []phrase{
		"[How do I|Can I|I want to] [export|download|get] [all our customers|our bookings|last year's data] [as a spreadsheet|to Excel|as CSV]?",
		"The export [stops at|breaks off at] [50 %|1,000 rows][ every time|].",
		"The [CSV|exported file] [has broken umlauts|lacks the phone numbers|is empty|mixes up the columns].",
		"[We are trying|I'm trying] to [import|upload] our old customer list and [it fails on row {number}|half of them are missing].",
		"[{boss} needs|We need] [a full copy of our data|all transactions of the year] [in one file|as a file].",
		"[Does|Is there] [Quillbase have|] an [interface|API] [to|for] [our accounting program|our website]? [The docs say token, I have none.|]",
		"The [nightly|automatic] [transfer|sync] to [our accounting program|Ledgerly] [stopped {ago}|sends nothing|sends everything twice].",
	}},
}
