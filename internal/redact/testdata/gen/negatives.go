package main

// negatives hold nothing, and much that looks like something.
const negatives = `
Order number 2125550123 has shipped.
Your invoice 4111111111111112 is due.
Order #4012888888881881 is late.
Tracking 9400110200881234567890
Bestellnummer 0151-2345678901
Version 1.2.3.4 of the firmware
Chrome/120.0.6099.109 Safari/537.36
upgrade to v10.0.0.1 now
see section 2.1.3.4 of the manual
2024-05-01 12:30:45
01.02.2024 um 10:15 Uhr
Born on 12/03/1985 in Rome
05-06-2023 to 07-08-2023
2023-11-14T22:13:20.123456789Z
It cost $1,234,567.89 in total.
The price is 1.234.567,89 EUR
€4111111111111111 would be a lot
Population: 212 555 0123
48.858844, 2.294351
51°30'26"N 0°7'39"W
-33.8567844, 151.2152967
ISBN 978-3-16-148410-0
ISBN 0-306-40615-2
ISBN 9780306406157
EAN 4006381333931
UPC 012345678905
d41d8cd98f00b204e9800998ecf8427e
e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
commit 9fceb02d0ae598e95dc970b74767f19372d61af8
550e8400-e29b-41d4-a716-446655440000
sha256:ab:cd:ef:01:23:45:67:89:ab:cd:ef:01
Natalia sold 48/2 = 24 clips in May. She sold 48+24 = 72 clips altogether.
If 1234567 + 7654321 = x, what is x?
12345678 * 87654321 = 1082152022374638
The sum 1000 + 2000 + 3000 + 4000 is 10000.
200 300 4000 are the three lengths
3.14159265358979323846
0.4111111111111111 is the ratio
pi is 3.1415926535
The numbers are 5, 12, 23, 34, 41
std::vector<int> a; ns::b::c();
use crate::dead::beef;
12:30:45 and 09:15:00
The ratio is 1:2:3
user@localhost
@alice and @bob joined
npm install lodash@4.17.21
logo@2x.png and icon@3x.png
git@github.com:org/repo.git
meet me @ 5 p.m. tomorrow
a @ b . com
https://example.com/path?x=1:2@3
https://example.com/@user/post
http://example.com:8080/index.html
password: the word you choose
The password must have 8 characters.
password = input("Enter password: ")
password = os.environ["DB_PASSWORD"]
token = tokenizer.next_token()
max_tokens: 100
token: str = None
"type": "password"
secret: classified documents were found
api_key=YOUR_API_KEY
api_key: ${API_KEY}
password=<your password>
password: ********
The bearer of bad news arrived late
basic understanding of chemistry
sk-learn is a library
risk-assessment-and-management-of-projects
-----BEGIN CERTIFICATE-----
The eyJ prefix marks a token
DE99 is a road and GB82 a code
FR14 2004 1010 0505 0001 3M02 607
GB82 TEST 1234 5698 7654 32
AB123456E is a part
QQ123456C is not issued
Flight BA 12 34 departs
BG 12 34 56 A
12345678A is the wrong letter
model X1234567A
RSSMRA85T10A562T
529.982.247-26
219-09-0000
000-12-3456
666-12-3456
serial 111222333
reference 86095742719
order 44051401359
product 130 692 544
ticket 811228-9875
article 756.9217.0769.86
PMID: 12345678
doi:10.1000/182
10.1038/s41586-020-2649-2
NCT01234567
Patients (n = 1234) aged 45.6 ± 12.3 years, P = 0.00123456
95% CI 1.02-1.34; OR 1.17
HR 0.85 (0.70-1.03), p<0.001
RFC 5321, section 4.5.3.1.1
127.0.0.1 and 0.0.0.0 are special
256.300.1.1 is no address
1.2.3 and 1.2.3.4.5
::1 is the loopback
00:00:00:00:00:00
12-34-56-78-90-12
call me at 5 or 6
I called 3 times in 2024
phone models 12, 13 and 14
text 100 people
He ran 100 m in 9.58 s, 200 m in 19.19 s
Room 0612, floor 06
ZIP 10001-1234
PLZ 80331 München
75008 Paris, 12 rue de la Paix
Postcode SW1A 1AA
The year 1984 and the years 1990-2000
1984127645108947
FIFA 2022: 3-3 (4-2)
4-4-2 or 4-3-3
Chapter 12, verses 34-56
1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16
1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16
0000 0000 0000 0000
1111 1111 1111 1111
9999-9999-9999-9999
1234 5678 9012 3456
1234-5678-9012-3456
4111 1111 1111 1112
#FF00FF and #00112233
0xdeadbeef, 0x1A2B3C4D5E6F
192.168.1 is incomplete
MAC is a computer, IP a protocol
订单号 13812345678
注文番号 0901234567
价格 1234567 元
На сумму 1 234 567 рублей
Il costo è 1.234,56 euro
Le montant est de 12 345 678,90 €
12 345 678 901 habitants
Der Umsatz stieg auf 1 234 567 890 Euro
$219-09-9999
100% of 250 is 250
6/7/8 and 9/10/11
a1b2c3d4e5f6
2^64 = 18446744073709551616
n! for n=20 is 2432902008176640000
1e10 and 6.02214076e23
Unix time 1700000000 or 1700000000000
id 1700000000123
[EMAIL] and [PHONE] are placeholders
Mr. Smith lives in New York.
Ä Ö Ü ß é à 你好 привет
`

// code holds what was found wrongly in source and documentation, later than the
// detectors.
const code = `
password = encryption_algorithm.password
self.key_password = key_password
config.Certificates[0].PrivateKey = testRSA2048PrivateKey
hs.masterSecret = hs.sessionState.secret
challengePassword = ignored challenge
PWD: '/Users/ann',
"safety_pin": "🧷",
Prints: <Buffer 01 02 03 04 05 06 07 08>
<Buffer 66 00 68 00 71 00 77 00 68>
1f ff 81 03 01 01 05 50 6f 69
ObjectIdentifier("2.5.4.5")
RFC 7540, sec 8.1.2.6
Bring your phone. 2125550123 is a large number.
the contents (EC 3.1.1.11) activity
`
