package main

// sentences hold {} where the value of their kind stands.
var sentences = map[string][]string{
	"email": {"Please write to {} by Friday.", "Contact: {}", "Schreiben Sie bitte an {}, danke.", "Mon adresse est {}.", "<{}> wrote on Monday:", "请发邮件到{}。",
		"Mi correo es {} y vivo en Madrid.", "mailto:{}?subject=hello", "users = ['{}']", "Напишите на {} до пятницы", "id,name,mail\\n7,Ann,{}\\n", "({})", "My old address \"{}\" no longer works"},
	"phone": {"Please call {} after 5 pm.", "Phone: {}", "Sie erreichen mich telefonisch unter Tel. {}.", "Appelez-moi au {} demain.", "Mi teléfono es {}.", "Il mio numero di telefono: {}",
		"Mijn telefoonnummer is {}, bel maar.", "You can text my mobile {} or come by.", "电话：{}", "Ann Lee | phone {} | London"},
	"card":            {"My card {} was declined.", "Pay with {} please", "Karte {}, gültig bis 12/27", "card_number={}", "Ma carte est le {}.", "La tarjeta {} fue robada", "I used card number {}, exp 09/26, cvv 123", "卡号{}", "\"pan\": \"{}\""},
	"iban":            {"Transfer to {} today.", "IBAN: {}", "Überweisen Sie auf {}.", "Mon IBAN est {}, merci", "\"account\": \"{}\"", "El IBAN {} es correcto", "Naar rekening {} s.v.p."},
	"national_id":     {"My tax id is {}.", "National ID number: {}", "ID {} belongs to the applicant.", "identity number {}\\nname Ann Lee", "The applicant's national identification ({}) was checked.", "id: {}"},
	"ip":              {"The server at {} is down.", "Connected from {} at 12:30", "ping {}", "{} - - [10/Oct/2000:13:55:36] \"GET / HTTP/1.0\"", "Adresse IP : {}", "http_client = '{}'", "Der Rechner {} antwortet nicht."},
	"mac":             {"The device {} joined.", "MAC: {}", "ether {} txqueuelen 1000", "Gerät mit der MAC-Adresse {} gesperrt"},
	"key":             {"My key is {} and it fails.", "export TOKEN={}", "I pasted {} by mistake", "client = Client('{}')", "Der Schlüssel {} ist abgelaufen.", "key {}"},
	"url_credentials": {"clone https://{}@git.example.com/repo.git", "DATABASE_URL=postgres://{}@db.example.com:5432/app", "Verbinde mit ftp://{}@ftp.example.org/ bitte", "use \"amqp://{}@queue.example.com\" there"},
}

// values are one a line; each is written in two sentences of its kind.
var values = map[string]string{
	"email": `
bob@example.com
ann.lee+news@mail.example.co.uk
first_last@sub-domain.example.org
X99@EXAMPLE.NET
jörg@example.de
o'neil@example.ie
a@b.io
user%corp@example.com
info@bücher.example
test-account-2024@example.museum
иван@пример.рф
j.p@xn--bcher-kva.example`,
	"phone": `
(212) 555-0123
+1 212 555 0123
+1-415-555-0199
212-555-0187
(415)555-0134
1-800-555-0199
646.555.0171
+12125550155
+44 20 7946 0958
020 7946 0958
07700 900123
+44 7700 900456
+44 (0)20 7946 0321
0161 496 0000
+49 30 901820
+49 151 23456789
030/12345678
0151 23456789
(089) 1234567
089 12345678
+33 6 12 34 56 78
06 12 34 56 78
01.23.45.67.89
0612345678
+31 6 12345678
06-12345678
020-1234567
+31 20 123 4567
+39 06 1234 5678
+39 347 123 4567
347 1234567
02 1234 5678
+34 612 345 678
612 34 56 78
912 345 678
+351 912 345 678
+48 601 234 567
+41 44 668 18 00
0049 30 1234567
+86 138 1234 5678
13812345678
+81 90-1234-5678
090-1234-5678
+91 98765 43210
98765 43210
+55 11 91234-5678
(11) 91234-5678
+61 412 345 678
0412 345 678
+7 912 345-67-89
+353 87 123 4567
+46 70 123 45 67
2125550144`,
	"card": `
4111111111111111
4012 8888 8888 1881
5555-5555-5555-4444
5105105105105100
378282246310005
3782 822463 10005
6011 1111 1111 1117
30569309025904
3056 930902 5904
3530111333300000
2223 0031 2200 3222
6200000000000005
4222222222222
5019717010103742
４１１１ １１１１ １１１１ １１１１`,
	"iban": `
GB82 WEST 1234 5698 7654 32
GB82WEST12345698765432
DE89 3704 0044 0532 0130 00
DE89370400440532013000
FR14 2004 1010 0505 0001 3M02 606
NL91ABNA0417164300
ES91 2100 0418 4502 0005 1332
IT60X0542811101000000123456
CH93 0076 2011 6238 5295 7
PL61109010140000071219812874
BE68 5390 0754 7034
SE45 5000 0000 0583 9825 7466
no9386011117947
AT61 1904 3002 3457 3201`,
	"national_id": `
219-09-9999
536-22-8741
AB123456C
AB 12 34 56 C
184127645108946
2 55 08 14 168 025 38
12345678Z
12345678-Z
X1234567L
RSSMRA85T10A562S
529.982.247-25
111.444.777-35
52998224725
44051401359
86095742719
47 036 892 816
111222333
811228-9874
19811228-9874
130 692 544
756.9217.0769.85
85.07.30-033.28
131052-308T
11010519491231002X
900101-1234567
12.345.678-5
ABCPE1234F
2341 2341 2346
943 476 5919`,
	"ip": `
192.168.1.17
10.0.0.5
8.8.8.8
203.0.113.254
172.16.254.1
2001:db8::8a2e:370:7334
2001:0db8:85a3:0000:0000:8a2e:0370:7334
fe80::1ff:fe23:4567:890a
fe80::1ff:fe23:4567:890a%eth0
::ffff:192.0.2.128`,
	"mac": `
00:1A:2B:3C:4D:5E
a4:83:e7:12:34:56
00-1A-2B-3C-4D-5F
001a.2b3c.4d5e
f0:18:98:aa:bb:cc`,
	"key": `
sk-abcdEFGH1234ijklMNOP5678qrstUVWX
sk-proj-Ab12Cd34Ef56Gh78Ij90Kl12Mn34Op56
sk-ant-api03-Zx9Yw8Vu7Ts6Rq5Po4Nm3Lk2Ji1Hg0
AKIAIOSFODNN7EXAMPLE
ghp_0123456789abcdefABCDEF0123456789abcd
github_pat_11ABCDEFG0abcdefghijkl_mnopqrstuvwxyz0123456789
xoxb-123456789012-abcdefABCDEF
AIzaSyA1234567890abcdefghijklmnopqrstuv
glpat-abcd1234EFGH5678ijkl
hf_abcdefghijklmnopqrstuvwxyz01234567
sk_live_4eC39HqLyjWDarjtT1zdp7dc
eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U
npm_abcdefghijklmnopqrstuvwxyz0123456789`,
	"url_credentials": `
admin:s3cret
user:p%40ss
bob:hunter2
x-token:abcDEF123`,
}

// mixed texts hold several values, or some that need what is around them.
const mixed = `
password = "{key|correct-horse-9}"
PASSWORD={key|hunter2!}
DB_PASSWORD={key|Tr0ub4dor&3}\nDB_HOST=localhost
Password: {key|Sommer2024!}
Passwort: {key|Gehe1m99}
mot de passe : {key|Secr3t77}
contraseña: {key|Clave2024}
密码：{key|abc12345}
"api_key": "{key|0123456789abcdef0123456789abcdef}",
api_key: {key|0123456789abcdef0123}
aws_secret_access_key = {key|wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY}
client_secret="{key|8f2b9c1d7e6a5f4b}"
curl -H "Authorization: Bearer {key|abcdef0123456789abcdef}" https://api.example.com
Authorization: Basic {key|dXNlcjpwYXNzd29yZDE=}
{key|-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA7bq\nabcd+/12==\n-----END RSA PRIVATE KEY-----}
access_token={key|ya29.a0AfH6SMBx1234567890abcdef}&expires=3600
SSN {national_id|219099999} on file
my social security number is {national_id|219 09 9999}
BSN {national_id|111222333}, naam Jan
Steuer-ID: {national_id|86095742719}
PESEL {national_id|44051401359}
CPF {national_id|52998224725}
Aadhaar {national_id|234123412346}
SIN: {national_id|130692544}
Personnummer {national_id|8112289874}
NHS number {national_id|943 476 5919}
From {email|bob@example.com} ({phone|+44 20 7946 0958}), IP {ip|10.1.2.3}
{email|a@example.com},{email|b@example.com};{email|c@example.org}
Order 4711 for Ann, card {card|4111 1111 1111 1111}, phone {phone|212-555-0123}, SSN {national_id|219-09-9999}
"user":"{email|ann@example.com}","ip":"{ip|203.0.113.9}","n":12
Tel: {phone|030 12345678} oder {phone|0171/1234567}, IBAN {iban|DE89370400440532013000}
`
