package refine_test

import "testing"

// fresh are texts that the word lists were not tried on while they were made: a
// long, a middling and a short one of other subjects.
var fresh = map[string][]string{
	"en": {"Patients who took the medicine twice a day slept better than those who took nothing.", "The train was late again, so we missed our flight.", "Close the window first."},
	"de": {"Patienten, die das Medikament zweimal täglich nahmen, schliefen besser als die anderen.", "Der Zug hatte wieder Verspätung, deshalb haben wir den Flug verpasst.", "Schließen Sie zuerst das Fenster."},
	"fr": {"Les patients qui ont pris le médicament deux fois par jour ont mieux dormi que les autres.", "Le train était encore en retard, nous avons donc raté notre vol.", "Fermez d'abord la fenêtre."},
	"es": {"Los pacientes que tomaron el medicamento dos veces al día durmieron mejor que los demás.", "El tren llegó tarde otra vez, así que perdimos el vuelo.", "Primero cierra la ventana."},
	"it": {"I pazienti che hanno preso il farmaco due volte al giorno hanno dormito meglio degli altri.", "Il treno era di nuovo in ritardo, quindi abbiamo perso il volo.", "Prima chiudi la finestra."},
	"pt": {"Os pacientes que tomaram o medicamento duas vezes por dia dormiram melhor do que os outros.", "O comboio atrasou-se outra vez, por isso perdemos o voo.", "Primeiro feche a janela."},
	"nl": {"Patiënten die het medicijn twee keer per dag namen, sliepen beter dan de anderen.", "De trein was weer te laat, dus we hebben onze vlucht gemist.", "Sluit eerst het raam."},
	"sv": {"Patienter som tog medicinen två gånger om dagen sov bättre än de andra.", "Tåget var försenat igen, så vi missade vårt flyg.", "Stäng fönstret först."},
	"da": {"Patienter, der tog medicinen to gange om dagen, sov bedre end de andre.", "Toget var forsinket igen, så vi nåede ikke vores fly.", "Luk vinduet først."},
	"fi": {"Potilaat, jotka ottivat lääkettä kahdesti päivässä, nukkuivat paremmin kuin muut.", "Juna oli taas myöhässä, joten myöhästyimme lennolta.", "Sulje ensin ikkuna."},
	"pl": {"Pacjenci, którzy przyjmowali lek dwa razy dziennie, spali lepiej niż pozostali.", "Pociąg znowu się spóźnił, więc nie zdążyliśmy na samolot.", "Najpierw zamknij okno."},
	"cs": {"Pacienti, kteří užívali lék dvakrát denně, spali lépe než ostatní.", "Vlak měl zase zpoždění, takže jsme nestihli letadlo.", "Nejdřív zavřete okno."},
	"hu": {"Azok a betegek, akik naponta kétszer szedték a gyógyszert, jobban aludtak, mint a többiek.", "A vonat megint késett, ezért lekéstük a repülőt.", "Először csukd be az ablakot."},
	"ro": {"Pacienții care au luat medicamentul de două ori pe zi au dormit mai bine decât ceilalți.", "Trenul a întârziat din nou, așa că am pierdut avionul.", "Închideți mai întâi fereastra."},
	"tr": {"İlacı günde iki kez alan hastalar diğerlerinden daha iyi uyudu.", "Tren yine gecikti, bu yüzden uçağımızı kaçırdık.", "Önce pencereyi kapatın."},
	"vi": {"Những bệnh nhân uống thuốc hai lần mỗi ngày ngủ ngon hơn những người khác.", "Tàu lại trễ nên chúng tôi lỡ chuyến bay.", "Hãy đóng cửa sổ trước."},
	"id": {"Pasien yang minum obat dua kali sehari tidur lebih nyenyak daripada yang lain.", "Kereta terlambat lagi, jadi kami ketinggalan pesawat.", "Tutup jendela dulu."},
	"ru": {"Пациенты, которые принимали лекарство дважды в день, спали лучше остальных.", "Поезд снова опоздал, поэтому мы не успели на самолёт.", "Сначала закройте окно."},
	"uk": {"Пацієнти, які приймали ліки двічі на день, спали краще за інших.", "Потяг знову запізнився, тому ми не встигли на літак.", "Спочатку зачиніть вікно."},
	"ar": {"نام المرضى الذين تناولوا الدواء مرتين في اليوم أفضل من غيرهم.", "تأخر القطار مرة أخرى، لذلك فاتتنا الرحلة.", "أغلق النافذة أولاً."},
	"hi": {"जिन मरीजों ने दिन में दो बार दवा ली, वे दूसरों से बेहतर सोए।", "ट्रेन फिर देर से आई, इसलिए हमारी उड़ान छूट गई।", "पहले खिड़की बंद करें।"},
	"zh": {"每天服药两次的病人比其他人睡得更好。", "火车又晚点了，所以我们没赶上飞机。", "先关上窗户。"},
	"ja": {"一日に二回薬を飲んだ患者は、ほかの人よりもよく眠れました。", "電車がまた遅れて、飛行機に乗り遅れました。", "まず窓を閉めてください。"},
	"ko": {"약을 하루에 두 번 먹은 환자들은 다른 사람들보다 잘 잤습니다.", "기차가 또 늦어서 비행기를 놓쳤어요.", "먼저 창문을 닫으세요."},
}

func TestLanguageOfFreshSentences(t *testing.T) {
	all, right, silent := languagesOf(t, fresh)
	if wrong := all - right - silent; right < 64 || wrong > 1 { // as first measured; those of three words are hard
		t.Errorf("%d right and %d wrong of %d", right, wrong, all)
	}
}
