package main

// words fills {name} in phrases.
var words = map[string][]phrase{
	"sum":     {"{digit}9 euros", "{digit}{digit} euros", "€{digit}{digit}.00", "1{digit}4 euros", "€{digit}9.90", "[two|three|four] hundred euros", "{digit}48.50"},
	"bigsum":  {"{digit},{digit}00 euros", "€{digit}{digit}00", "over {digit}000 euros", "{digit}k"},
	"digit":   {"1", "2", "3", "4", "5", "6", "7", "8"},
	"number":  {"4{digit}{digit}{digit}", "88{digit}{digit}", "1{digit}0{digit}{digit}", "QB-{digit}{digit}{digit}", "#{digit}{digit}{digit}{digit}"},
	"weekday": {"Monday", "Tuesday", "Wednesday", "Thursday", "Friday"},
	"month":   {"January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November"},
	"ago":     {"yesterday", "on {weekday}", "last {weekday}", "this morning", "two days ago", "[a|one] week ago", "last week", "in {month}"},
	"plan":    {"Solo", "Studio", "Workshop", "Team"},
	"device":  {"card reader", "reader", "terminal", "Quill reader", "card terminal", "payment terminal"},
	"many":    {"[forty|35|60|a dozen|22|eighteen] [people|staff|colleagues]", "[three|four|all our] branches", "the whole [team|company|office|shop]"},
	"few":     {"two of us", "a couple of colleagues", "[three|four] [people|colleagues]", "[five|six] of the staff", "the evening colleagues"},
	"shop":    {"shop", "studio", "practice", "salon", "workshop", "clinic", "café", "office"},
	"boss":    {"my boss", "our accountant", "the manager", "my business partner", "our bookkeeper", "head office"},
	"name":    {"Marta", "Jonas", "Priya", "Tom", "Aiko", "Luis", "Hanna", "Sofie", "Dev", "Noor", "Emil", "Greta", "Karim", "Ines", "Pauline", "Oskar", "Wen", "Bea"},
	"firm":    {"Nordlicht Yoga", "Fenwick Dental", "Barber & Sons", "Café Ostwind", "Hallig Cycles", "Studio Anemone", "Petersen Physio", "Loom & Thread", "Tallow Candles", "The Paper Garden"},
	"page":    {"calendar", "booking page", "dashboard", "customer list", "daily report", "invoice editor", "reminder settings"},
	"browser": {"Chrome", "Safari", "Firefox", "the phone app", "my tablet", "Edge"},
}

// asides name another matter that a ticket speaks of without being about it.
var asides = map[string][]phrase{
	"refund":   {"the refund", "the money you sent back", "that refund from {month}"},
	"invoice":  {"the {month} invoice", "the invoice address", "the VAT line on the invoice"},
	"payment":  {"the declined card", "the failed payment", "my new card"},
	"login":    {"the password reset", "my login trouble", "the sign-in codes"},
	"outage":   {"the outage last week", "the downtime in {month}", "the slow evening on {weekday}"},
	"bug":      {"the {page} bug", "the wrong times on the {page}", "that glitch"},
	"delivery": {"the late parcel", "the delivery of the {device}", "the shipping address"},
	"hardware": {"the broken {device}", "the printer in the {device}", "the dead battery"},
	"cancel":   {"cancelling", "ending the subscription", "the cancellation of our second account"},
	"plan":     {"the switch to {plan}", "the extra seats", "the yearly plan"},
	"access":   {"the invite for {name}", "the admin rights", "the accountant's access"},
	"export":   {"the export", "the customer file you sent", "the import of our old list"},
}
