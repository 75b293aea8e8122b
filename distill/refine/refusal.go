package refine

import (
	"regexp"
	"strings"
)

// How an answer ended, as distill.Answer and the servers say it.
const finishStop = "stop"

// refusalFinishes are the finish reasons by which servers say that they refused.
var refusalFinishes = map[string]bool{
	"refusal": true, "content_filter": true, "safety": true, "blocked": true, "recitation": true, "prohibited_content": true,
}

// refusalReach is how many bytes of an answer are searched: a refusal says so
// at once, and an answer that quotes one later is none.
const refusalReach = 240

// help is what a refusal says it cannot do.
const help = `(?:help|assist|aid|provide|comply|fulfil+|support|engage|answer|respond|generate|create|write|produce|share|discuss|give (?:you )?(?:any )?(?:advice|information|instructions)|offer|do that|continue|participate|complete (?:this|that|your) request)`

// refusals are the phrases by which models refuse, in lower case with straight
// apostrophes, a language a line.
var refusals = []*regexp.Regexp{
	regexp.MustCompile(`(?:^|[.!,:;] ?|\bbut )(?:(?:i'm|i am) (?:really |very |so )?(?:sorry|afraid)|sorry|i apologi[sz]e|unfortunately|my apologies)?(?:,| that|\.)? ?(?:but )?(?:as an? [a-z ,]{0,40})?i(?: am|'m)? (?:can't|cannot|can not|could not|couldn't|won't|will not|am unable to|unable to|not able to|not allowed to|not permitted to|must decline to|have to decline to)(?: really| directly)? ` + help + `\b` +
		`|\bas an? (?:ai|artificial intelligence|large language model|language model)(?: language)?(?: model| assistant| system| program| chatbot)?\b.{0,60}(?:can't|cannot|don't|do not|won't|not able|unable|not have|not possible|must decline|am not)\b` +
		`|^(?:i'm |i am )?(?:sorry|afraid),? (?:but )?(?:i )?(?:can't|cannot) (?:do|fulfil+|complete) (?:that|this)` +
		`|\bi (?:must|have to|need to) (?:respectfully )?(?:decline|refuse)\b|\bi'm not comfortable (?:with )?(?:help|assist|provid|answer|writ|creat)`),
	regexp.MustCompile(`\b(?:ich kann|ich darf|kann ich|darf ich)\b.{0,50}\bnicht\b.{0,30}(?:helfen|beantworten|unterstützen|erfüllen|weiterhelfen|bereitstellen|geben|ausführen|behilflich)|\bals (?:ki|künstliche intelligenz|sprachmodell|ki-(?:sprach)?modell|ki-assistent)\b.{0,40}\b(?:ich|mir)\b`), // de
	regexp.MustCompile(`\bje (?:ne peux|ne suis|ne pourrai|ne saurais|n'ai)(?: malheureusement)?(?: pas)?\b.{0,30}(?:aider|répondre|fournir|assister|satisfaire|en mesure|autorisé|accéder)|\ben tant qu'(?:ia|intelligence artificielle|assistant|modèle)\b.{0,40}\bje\b`),                               // fr
	regexp.MustCompile(`\bno (?:puedo|me es posible|estoy en condiciones de)\b.{0,20}(?:ayudar|proporcionar|responder|asistir|cumplir|ofrecer|generar)|\bcomo (?:una )?(?:ia|inteligencia artificial|modelo de lenguaje|asistente de ia)\b.{0,40}\bno\b`),                                                 // es
	regexp.MustCompile(`\bnon (?:posso|sono in grado di|mi è possibile)\b.{0,20}(?:aiutar|fornir|rispondere|assister|soddisfare|generare)|\b(?:come|in quanto) (?:una )?(?:ia|intelligenza artificiale|modello linguistico|assistente ia)\b.{0,40}\bnon\b`),                                               // it
	regexp.MustCompile(`\bnão (?:posso|consigo|me é possível)\b.{0,20}(?:ajudar|fornecer|responder|atender|auxiliar|gerar)|\bcomo (?:uma )?(?:ia|inteligência artificial|modelo de linguagem)\b.{0,40}\bnão\b`),                                                                                           // pt
	regexp.MustCompile(`\bik kan\b.{0,40}\bniet\b.{0,20}(?:helpen|beantwoorden|geven|verstrekken|voldoen)|\bals (?:ai|taalmodel|ai-(?:taal)?model|ai-assistent)\b.{0,30}\bik\b`),                                                                                                                          // nl
	regexp.MustCompile(`\bnie mogę .{0,20}(?:pomóc|odpowiedzieć|udzielić|spełnić|podać)|\bjako (?:ai|sztuczna inteligencja|model językowy)\b`),                                                                                                                                                            // pl
	regexp.MustCompile(`не (?:могу|в состоянии|имею возможности).{0,40}(?:помочь|помогать|ответить|предоставить|выполнить|обсуждать|поддержать)|как (?:ии|искусственный интеллект|языковая модель|большая языковая модель)[ ,]`),                                                                          // ru
	regexp.MustCompile(`(?:yardımcı olamam|yardımcı olamıyorum|cevap veremem|yanıtlayamam|yerine getiremem|sağlayamam)|bir yapay zek[aâ](?: dil modeli)? olarak`),                                                                                                                                         // tr
	regexp.MustCompile(`(?:无法|不能|無法)(?:为您|為您|向您|给您)?(?:提供|回答|协助|協助|帮助|幫助|满足|滿足|完成您的)|作为(?:一个|一名)?(?:人工智能|ai|语言模型|大型语言模型)`),                                                                                                                                                                                // zh
	regexp.MustCompile(`(?:お手伝い|お答え|回答|対応|提供|ご要望にお応え|お応え)(?:することは|することが|は)?(?:でき(?:ません|かねます)|いたしかねます)|(?:ai|人工知能|言語モデル)(?:として|なので|であるため)`),                                                                                                                                                                // ja
	regexp.MustCompile(`(?:도와드릴|답변(?:해 ?)?드릴|제공(?:해 ?)?(?:드릴|할)|도움을 드릴|응답할|수행할) 수(?:가)? 없|(?:ai|인공지능|언어 모델)(?:로서|이기 때문에|이므로)`),                                                                                                                                                                            // ko
	regexp.MustCompile(`لا (?:أستطيع|يمكنني|أقدر).{0,15}(?:مساعدت|المساعدة|تقديم|الإجابة|تلبية)|(?:بصفتي|كوني|باعتباري) (?:نموذج|ذكاء|مساعد)`),                                                                                                                                                            // ar
	regexp.MustCompile(`(?:मदद|सहायता|उत्तर|जवाब|जानकारी|अनुरोध).{0,30}नहीं (?:कर|दे) सकत|एक (?:एआई|ai|भाषा मॉडल)(?: भाषा मॉडल)? के रूप में`),                                                                                                                                                             // hi
}

var straightQuotes = strings.NewReplacer("’", "'", "‘", "'", "＇", "'", "**", "", "\n", " ")

// Refusal says why an answer counts as a refusal, "" if it does not: its finish
// reason says so, or its first 240 bytes hold one of the phrases by which
// models refuse in English, German, French, Spanish, Italian, Portuguese,
// Dutch, Polish, Russian, Turkish, Chinese, Japanese, Korean, Arabic or Hindi.
// A customer-service reply like "I cannot provide a refund" reads like one.
func Refusal(answer, finish string) string {
	if refusalFinishes[strings.ToLower(finish)] {
		return "finish reason " + strings.ToLower(finish)
	}
	head := strings.TrimSpace(answer)
	if len(head) > refusalReach {
		head = strings.ToValidUTF8(head[:refusalReach], "")
	}
	head = straightQuotes.Replace(strings.ToLower(head))
	for _, phrases := range refusals {
		if found := phrases.FindString(head); found != "" {
			return "\"" + shorten(strings.Trim(found, " .,:;!")) + "\""
		}
	}
	return ""
}
