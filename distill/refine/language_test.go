package refine_test

import (
	"strings"
	"testing"

	"github.com/retort-ml/retort/distill/refine"
)

// sentences are texts by language, written for this test: as customers and
// assistants write, the last ones short.
var sentences = map[string][]string{
	"en": {"My card arrived yesterday, but the app still asks me to activate it. What should I do?", "To find the total, multiply the number of boxes by the price of each box and subtract the discount.", "I forgot my password.", "How do I cancel the transfer?"},
	"de": {"Meine Karte ist gestern angekommen, aber die App verlangt weiterhin, dass ich sie aktiviere.", "Um die Summe zu berechnen, multiplizieren Sie die Anzahl der Kisten mit dem Preis.", "Ich habe mein Passwort vergessen.", "Wie storniere ich die Überweisung?"},
	"fr": {"Ma carte est arrivée hier, mais l'application me demande toujours de l'activer.", "Pour trouver le total, multipliez le nombre de boîtes par le prix de chacune.", "J'ai oublié mon mot de passe.", "Comment annuler le virement ?"},
	"es": {"Mi tarjeta llegó ayer, pero la aplicación todavía me pide que la active.", "Para hallar el total, multiplica el número de cajas por el precio de cada una.", "He olvidado mi contraseña.", "¿Cómo cancelo la transferencia?"},
	"it": {"La mia carta è arrivata ieri, ma l'app mi chiede ancora di attivarla.", "Per trovare il totale, moltiplica il numero di scatole per il prezzo di ciascuna.", "Ho dimenticato la mia password.", "Come posso annullare il bonifico?"},
	"pt": {"O meu cartão chegou ontem, mas a aplicação continua a pedir que eu o ative.", "Para encontrar o total, multiplique o número de caixas pelo preço de cada uma.", "Esqueci a minha senha.", "Como cancelo a transferência?"},
	"nl": {"Mijn kaart is gisteren aangekomen, maar de app vraagt nog steeds om hem te activeren.", "Om het totaal te vinden, vermenigvuldig je het aantal dozen met de prijs.", "Ik ben mijn wachtwoord vergeten.", "Hoe annuleer ik de overschrijving?"},
	"sv": {"Mitt kort kom i går, men appen ber mig fortfarande att aktivera det.", "För att få fram summan multiplicerar du antalet lådor med priset.", "Jag har glömt mitt lösenord.", "Hur avbryter jag överföringen?"},
	"da": {"Mit kort kom i går, men appen beder mig stadig om at aktivere det.", "For at finde summen skal du gange antallet af kasser med prisen.", "Jeg har glemt min adgangskode.", "Hvad gør jeg, når overførslen er blevet afvist?"},
	"no": {"Kortet mitt kom i går, men appen ber meg fortsatt om å aktivere det.", "For å finne summen må du gange antallet esker med prisen.", "Jeg har glemt passordet mitt, hva gjør jeg nå?", "Hva skjer når overføringen ble avvist?"},
	"fi": {"Korttini saapui eilen, mutta sovellus pyytää minua yhä ottamaan sen käyttöön.", "Kun haluat laskea summan, kerro laatikoiden määrä hinnalla.", "Olen unohtanut salasanani.", "Miten voin perua tilisiirron?"},
	"pl": {"Moja karta przyszła wczoraj, ale aplikacja nadal prosi o jej aktywację.", "Aby obliczyć sumę, pomnóż liczbę pudełek przez cenę każdego z nich.", "Nie pamiętam hasła.", "Jak mogę anulować przelew?"},
	"cs": {"Moje karta přišla včera, ale aplikace mě stále žádá, abych ji aktivoval.", "Chcete-li zjistit součet, vynásobte počet krabic cenou.", "Zapomněl jsem heslo.", "Jak můžu zrušit převod?"},
	"sk": {"Moja karta prišla včera, ale aplikácia ma stále žiada, aby som ju aktivoval.", "Ak chcete zistiť súčet, vynásobte počet škatúľ cenou.", "Zabudol som heslo.", "Ako môžem zrušiť prevod?"},
	"hu": {"A kártyám tegnap megérkezett, de az alkalmazás még mindig kéri, hogy aktiváljam.", "Az összeg kiszámításához szorozd meg a dobozok számát az árukkal.", "Elfelejtettem a jelszavamat.", "Hogyan vonhatom vissza az átutalást?"},
	"ro": {"Cardul meu a sosit ieri, dar aplicația îmi cere în continuare să îl activez.", "Pentru a afla totalul, înmulțiți numărul de cutii cu prețul fiecăreia.", "Mi-am uitat parola.", "Cum pot anula transferul?"},
	"tr": {"Kartım dün geldi ama uygulama hâlâ etkinleştirmemi istiyor.", "Toplamı bulmak için kutu sayısını her birinin fiyatıyla çarpın.", "Şifremi unuttum.", "Havaleyi nasıl iptal ederim?"},
	"vi": {"Thẻ của tôi đã đến hôm qua nhưng ứng dụng vẫn yêu cầu tôi kích hoạt.", "Để tìm tổng, hãy nhân số hộp với giá của mỗi hộp.", "Tôi quên mật khẩu.", "Làm sao để hủy chuyển khoản?"},
	"id": {"Kartu saya tiba kemarin, tetapi aplikasi masih meminta saya untuk mengaktifkannya.", "Untuk menemukan totalnya, kalikan jumlah kotak dengan harga setiap kotak.", "Saya lupa kata sandi.", "Bagaimana cara membatalkan transfer ini?"},
	"hr": {"Moja kartica stigla je jučer, ali aplikacija me i dalje traži da je aktiviram.", "Da biste dobili zbroj, pomnožite broj kutija s cijenom svake od njih.", "Zaboravio sam lozinku, što da radim?", "Kako mogu otkazati ovaj prijenos koji nije prošao?"},
	"sl": {"Moja kartica je prispela včeraj, vendar me aplikacija še vedno prosi, da jo aktiviram.", "Če želite izračunati vsoto, pomnožite število škatel s ceno vsake.", "Pozabil sem geslo, kaj lahko naredim?", "Kako lahko prekličem to nakazilo?"},
	"ca": {"La meva targeta va arribar ahir, però l'aplicació encara em demana que l'activi.", "Per trobar el total, multiplica el nombre de caixes pel preu de cadascuna amb els impostos.", "He oblidat la meva contrasenya i no puc entrar.", "Què he de fer amb aquesta targeta?"},
	"et": {"Minu kaart saabus eile, kuid rakendus palub mul seda ikka veel aktiveerida.", "Summa leidmiseks korruta kastide arv nende hinnaga.", "Ma olen oma parooli unustanud.", "Kuidas ma saan ülekande tühistada?"},
	"lv": {"Mana karte atnāca vakar, bet lietotne joprojām lūdz to aktivizēt.", "Lai atrastu kopsummu, reiziniet kastu skaitu ar katras cenu.", "Es aizmirsu savu paroli.", "Kā es varu atcelt pārskaitījumu?"},
	"lt": {"Mano kortelė atėjo vakar, bet programėlė vis dar prašo ją aktyvuoti.", "Norėdami rasti sumą, padauginkite dėžių skaičių iš kainos.", "Pamiršau savo slaptažodį.", "Kaip galiu atšaukti pavedimą?"},
	"sw": {"Kadi yangu ilifika jana, lakini programu bado inaniomba niiwashe.", "Ili kupata jumla, zidisha idadi ya masanduku kwa bei ya kila moja.", "Nimesahau nywila yangu, nifanye nini sasa?", "Ninawezaje kughairi malipo haya ya benki?"},
	"tl": {"Dumating ang aking card kahapon, pero hinihiling pa rin ng app na i-activate ko ito.", "Para makuha ang kabuuan, i-multiply ang bilang ng mga kahon sa presyo ng bawat isa.", "Nakalimutan ko ang password ko.", "Paano ko makakansela ang paglipat na ito?"},
	"ru": {"Моя карта пришла вчера, но приложение всё ещё просит её активировать.", "Чтобы найти сумму, умножьте количество коробок на цену каждой из них.", "Я забыл пароль.", "Как отменить перевод?"},
	"uk": {"Моя картка прийшла вчора, але застосунок досі просить її активувати.", "Щоб знайти суму, помножте кількість коробок на ціну кожної з них.", "Я забув пароль і не можу увійти.", "Як мені скасувати переказ?"},
	"bg": {"Картата ми пристигна вчера, но приложението все още иска да я активирам.", "За да намерите сумата, умножете броя на кутиите по цената на всяка от тях.", "Забравих си паролата и не мога да вляза.", "Как мога да отменя превода?"},
	"sr": {"Моја картица је стигла јуче, али апликација и даље тражи да је активирам.", "Да бисте добили збир, помножите број кутија ценом сваке од њих.", "Заборавио сам лозинку.", "Како могу да откажем уплату?"},
	"el": {"Η κάρτα μου έφτασε χθες, αλλά η εφαρμογή μου ζητά ακόμα να την ενεργοποιήσω.", "Ξέχασα τον κωδικό μου."},
	"he": {"הכרטיס שלי הגיע אתמול, אבל האפליקציה עדיין מבקשת ממני להפעיל אותו.", "שכחתי את הסיסמה."},
	"ar": {"وصلت بطاقتي أمس، لكن التطبيق لا يزال يطلب مني تفعيلها.", "للحصول على المجموع، اضرب عدد الصناديق في سعر كل منها.", "نسيت كلمة المرور.", "كيف يمكنني إلغاء التحويل؟"},
	"fa": {"کارت من دیروز رسید، اما برنامه هنوز از من می‌خواهد آن را فعال کنم.", "برای یافتن مجموع، تعداد جعبه‌ها را در قیمت هر کدام ضرب کنید.", "رمز عبورم را فراموش کرده‌ام.", "چگونه می‌توانم انتقال را لغو کنم؟"},
	"ur": {"میرا کارڈ کل پہنچ گیا تھا لیکن ایپ اب بھی مجھ سے اسے فعال کرنے کو کہہ رہی ہے۔", "کل معلوم کرنے کے لیے ڈبوں کی تعداد کو قیمت سے ضرب دیں۔", "میں اپنا پاس ورڈ بھول گیا ہوں۔", "میں منتقلی کیسے منسوخ کروں؟"},
	"hi": {"मेरा कार्ड कल आ गया था, लेकिन ऐप अब भी मुझे इसे चालू करने के लिए कह रहा है।", "मैं अपना पासवर्ड भूल गया हूँ।", "मैं यह भुगतान कैसे रद्द करूँ और क्या यह हो सकता है?"},
	"mr": {"माझे कार्ड काल आले, पण ॲप अजूनही मला ते सुरू करण्यास सांगत आहे.", "मी माझा पासवर्ड विसरलो आहे आणि मला मदत हवी आहे."},
	"ne": {"मेरो कार्ड हिजो आइपुग्यो, तर एपले अझै पनि मलाई सक्रिय गर्न भनिरहेको छ।", "मैले मेरो पासवर्ड बिर्सें, के गर्न सकिन्छ र कसरी?"},
	"th": {"บัตรของฉันมาถึงเมื่อวานนี้ แต่แอปยังคงขอให้ฉันเปิดใช้งาน", "ฉันลืมรหัสผ่าน"},
	"zh": {"我的卡昨天到了，但是应用程序仍然要求我激活它。", "我忘记了密码。", "怎么取消转账？"},
	"ja": {"カードは昨日届きましたが、アプリではまだ有効化を求められます。", "パスワードを忘れました。", "振込を取り消すには？"},
	"ko": {"카드가 어제 도착했는데 앱에서 아직도 활성화하라고 합니다.", "비밀번호를 잊어버렸어요."},
	"bn": {"আমার কার্ড গতকাল এসেছে, কিন্তু অ্যাপ এখনও এটি চালু করতে বলছে।"},
	"ta": {"என் அட்டை நேற்று வந்தது, ஆனால் செயலி இன்னும் கேட்கிறது."},
	"te": {"నా కార్డు నిన్న వచ్చింది, కానీ యాప్ ఇంకా అడుగుతోంది."},
	"kn": {"ನನ್ನ ಕಾರ್ಡ್ ನಿನ್ನೆ ಬಂದಿತು."},
	"ml": {"എന്റെ കാർഡ് ഇന്നലെ എത്തി."},
	"gu": {"મારું કાર્ડ ગઈકાલે આવ્યું."},
	"pa": {"ਮੇਰਾ ਕਾਰਡ ਕੱਲ੍ਹ ਆ ਗਿਆ ਸੀ।"},
	"ka": {"ჩემი ბარათი გუშინ მოვიდა."},
	"hy": {"Իմ քարտը երեկ հասավ:"},
}

func TestLanguageOfSentences(t *testing.T) {
	for _, code := range refine.KnownLanguages() {
		if len(sentences[code]) == 0 {
			t.Errorf("no sentence of %s", code)
		}
	}
	all, right, silent := languagesOf(t, sentences)
	if right*100 < all*95 || all-right-silent > all/100 {
		t.Errorf("%d right, %d unknown of %d", right, silent, all)
	}
}

// languagesOf counts the sentences whose language is told right, and is not told.
func languagesOf(t *testing.T, of map[string][]string) (all, right, silent int) {
	for _, code := range refine.KnownLanguages() {
		for _, s := range of[code] {
			all++
			switch got := refine.Language(s); got {
			case code:
				right++
			case "":
				silent++
				t.Logf("%s: unknown: %s", code, s)
			default:
				t.Logf("%s taken for %s: %s", code, got, s)
			}
		}
	}
	t.Logf("%d sentences of %d languages: %d right, %d unknown, %d wrong", all, len(of), right, silent, all-right-silent)
	return all, right, silent
}

func TestLanguageOfOddTexts(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"empty", "", ""},
		{"no letters", "42, 17.5 % — 🙂🙂🙂 !?", ""},
		{"a label", "card_arrival", ""},
		{"a name", "Amsterdam", ""},
		{"invalid bytes", "\xff\xfe\xfd", ""},
		{"code does not count", "Verwenden Sie dafür die folgende Funktion:\n```python\nfor the_item in the_list: print('this is what you have to do with that')\n```", "de"},
		{"an open fence", "Das ist der Anfang von dem Text und\n```\nthe of and to in is you that it he was", "de"},
		{"addresses do not count", "Schreiben Sie bitte an the.of.and@example.com oder https://example.com/the/of/and/to", "de"},
		{"decomposed letters", "Wie kann ich die U\u0308berweisung zuru\u0308cknehmen?", "de"},
		{"curly apostrophes", "J’ai oublié mon code, qu’est-ce que je dois faire ?", "fr"},
		{"mostly English", "The word Überweisung means a transfer, and you can do it in the app.", "en"},
		{"Chinese with a Latin name", "请在 ChatGPT 的设置里修改您的账户信息。", "zh"},
		{"Japanese in Chinese signs", "本日中に振込完了予定です", "ja"},
	} {
		if got := refine.Language(c.text); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
	if got := refine.Language(strings.Repeat("The card is in the box. ", 50_000)); got != "en" {
		t.Errorf("a long text: %q", got)
	}
}

func TestKnownLanguagesAreSortedAndMany(t *testing.T) {
	codes := refine.KnownLanguages()
	for i, code := range codes {
		if len(code) != 2 || i > 0 && codes[i-1] >= code {
			t.Errorf("%q after %v", code, codes[:i])
		}
	}
	if len(codes) != len(sentences) {
		t.Errorf("%d codes, sentences of %d", len(codes), len(sentences))
	}
}
