package redact

import "strings"

// topic is what the words around a number say that it is.
type topic int

const (
	noTopic topic = iota
	phoneTopic
	identityTopic
	securityTopic // a US social security number, which has no checksum
	versionTopic
	networkTopic
	otherTopic // an order, a price, a measure: surely not personal
)

var topicWords = map[topic]string{
	phoneTopic: `phone phones telephone tel ph call calls called cell cellphone mobile mob fax sms whatsapp dial ring contact callback hotline landline
		telefon telefonnummer tel handy handynummer mobil mobilnummer rufnummer anrufen ruf durchwahl
		téléphone tél telephone portable appelez appeler joindre télécopie
		teléfono telefono móvil movil celular llame llamar llámame llámeme fono
		cellulare chiamare chiamami telefonare chiama
		telefoon telefoonnummer mobiel bel bellen gsm
		telefone celular telemóvel ligue ligar telefonu komórka zadzwoń telefonnummer ring ringa телефон тел позвоните звоните`,
	identityTopic: `id identity identification identifier tax tin itin nin nino national nhs sin insurance aadhaar aadhar uidai pan
		steuer steuer-id steueridentifikationsnummer steuernummer idnr steuerid identifikationsnummer sozialversicherungsnummer
		nir sécurité sociale bsn burgerservicenummer burgerservice sofinummer sofi dni nie nif nuss codice fiscale cpf pesel
		personnummer personnr samordningsnummer cpr personnummeret fødselsnummer rut kimlik tckn tfn ppsn ppsno pps
		hetu henkilötunnus ahv avs mynumber niss rijksregisternummer`,
	securityTopic: `ssn ssns social security`,
	versionTopic: `version versions v ver release released build firmware kernel ec driver chrome firefox safari section sec chapter clause
		python openssl macos ios php java`,
	networkTopic: `ip ips ipv4 address addr adresse host server dns ping gateway client peer nameserver`,
	otherTopic: `buffer order orders invoice tracking parcel shipment isbn issn ean gtin upc sku serial model part item ticket case ref reference
		transaction receipt product article policy contract batch lot po commit hash population price total sum amount cost
		usd eur gbp dollars euros km miles meters bestellung bestellnummer rechnung rechnungsnummer auftrag kundennummer artikel
		commande facture pedido factura ordine fattura bestelling factuur order-id doi pmid pmcid patent nct`,
}

// unspaced are topic words of scripts that set no spaces.
var unspaced = map[topic][]string{
	phoneTopic:    {"电话", "電話", "手机", "手機", "联系", "携帯", "전화", "휴대폰"},
	identityTopic: {"身份证", "身份證", "マイナンバー", "個人番号", "주민등록"},
	otherTopic:    {"订单", "訂單", "注文", "주문", "単号", "单号", "编号"},
}

var topics = func() map[string]topic {
	words := map[string]topic{}
	for t, list := range topicWords {
		for word := range strings.FieldsSeq(list) {
			words[word] = t
		}
	}
	return words
}()

const topicBytes = 48 // how far before a number a word may be that says what it is

// topicOf returns the topic of the nearest word before i that has one, or of what
// is in parentheses behind end.
func topicOf(text string, i, end int) topic {
	if behind := text[end:min(len(text), end+topicBytes/2)]; strings.HasPrefix(behind, " (") {
		if at := strings.IndexByte(behind, ')'); at > 0 {
			if t := lastTopic(behind[:at]); t != noTopic {
				return t
			}
		}
	}
	return lastTopic(text[max(0, i-topicBytes):i])
}

func lastTopic(window string) topic {
	end := len(window)
	for end > 0 {
		if !isWordByte(window[end-1]) {
			end--
			continue
		}
		start := end
		for start > 0 && isWordByte(window[start-1]) {
			start--
		}
		word := window[start:end]
		// A full stop behind a long word ends the sentence.
		if end+1 < len(window) && strings.IndexByte(".?!", window[end]) >= 0 && window[end+1] == ' ' && len(word) > 4 {
			return noTopic
		}
		if t := wordTopic(word); t != noTopic {
			return t
		}
		end = start
	}
	return noTopic
}

func isWordByte(c byte) bool { return class[c]&letter != 0 || c >= 0x80 }

func wordTopic(word string) topic {
	if t, ok := topics[strings.ToLower(word)]; ok {
		return t
	}
	best, at := noTopic, -1
	if word[0] < 0xe3 { // no script without spaces
		return best
	}
	for t, list := range unspaced {
		for _, w := range list {
			if k := strings.LastIndex(word, w); k > at {
				best, at = t, k
			}
		}
	}
	return best
}
