package main

// second was written after the detectors were, and before they had seen it.
const second = `
Hi, this is Maria Gomez, you can reach me on my cell at {phone|(305) 555-0142} or {email|maria.gomez77@example.com}
Reply-To: "Support" <{email|support@shop.example.co.jp}>
email me: {email|JOHN.DOE@EXAMPLE.ORG}!
cc {email|a.b-c_d@x-y.example.com}, {email|z@example.dev}
mein e-mail ist {email|k.mueller@example.at};tel {phone|+43 1 5880580}
fax number {phone|+1 (646) 555-0111}
Call us toll free: {phone|1-888-555-0100}
WhatsApp {phone|+55 (21) 99876-5432}
{phone|+442079460018} rang twice
my number's {phone|07911 123456} if you need it
Telefon: {phone|(030) 90182000}
Handy {phone|0170-1234567}
Tél. : {phone|01 44 55 66 77}
portable {phone|07.81.22.33.44}
llámame al {phone|+34 655 12 34 56}
telefono {phone|06 6982 1234}
bel {phone|0612345678} voor info
ring me on {phone|+61 2 9374 4000}
Mobile: {phone|9876543210}
(tel: {phone|+1.415.555.0100})
tel:{phone|+15035550188}
Kontakt: {phone|+49-89-636-48018}
phone,{phone|303-555-0177},active
{phone|+82 10-1234-5678}로 전화 주세요
携帯は{phone|080-1234-5678}です
手机号：{phone|139 1234 5678}
Звоните: {phone|+7 (495) 123-45-67}
zadzwoń {phone|601 234 567}
+ Bellen kan op {phone|010-4567890}
My Visa is {card|4539 1488 0343 6467} and it expired
charge {card|5425233430109903} for 20 dollars
amex: {card|374245455400126}
CC#: {card|6011000990139424}
"card":"{card|4000-0566-5566-5556}"
Kreditkarte {card|5200 8282 8282 8210} bitte sperren
please pay to {iban|IE29AIBK93115212345678} asap
IBAN:{iban|DK50 0040 0440 1162 43}
{iban|FI2112345600000785}, {iban|PT50 0002 0123 1234 5678 9015 4}
Conto: {iban|IT40 S054 2811 1010 0000 0123 456}
compte {iban|FR76 3000 6000 0112 3456 7890 189} chez vous
Kontonummer {iban|LU28 0019 4006 4475 0000}
my social is {national_id|457-55-5462}
SSN: {national_id|457555462}
NI number: {national_id|JG 10 37 59 A}
NINO={national_id|jg103759a}
sécu {national_id|2 69 05 49 588 157 80}
DNI {national_id|00000014Z} de Juan
NIE {national_id|Y-1234567-X}
C.F. {national_id|MRTMTT91D08F205J}
CPF: {national_id|935.411.347-80}
numer PESEL: {national_id|02070803628}
身份证号：{national_id|440524188001010014}
RUT {national_id|11.111.112-K} chileno
logged in from {ip|198.51.100.23}:52114
src={ip|192.168.0.44} dst={ip|203.0.113.77} port=22
[{ip|2001:db8:0:1::1}]:443
block {ip|10.20.30.0}/24 now
inet6 {ip|fe80::a00:27ff:fe4e:66a1}/64
X-Forwarded-For: {ip|203.0.113.195}, {ip|70.41.3.18}
HWaddr {mac|08:00:27:4e:66:a1}
wifi mac {mac|3C-22-FB-9A-01-7E}.
OPENAI_API_KEY={key|sk-T3BlbkFJabcdefghij1234567890ABCDEFGHIJ}
anthropic: {key|sk-ant-api03-abcDEF123_456-ghiJKL789mnopqrs}
"aws_access_key_id": "{key|AKIAI44QH8DHBEXAMPLE}"
git clone with {key|ghp_16C7e42F292c6912E7710c838347Ae178B4a}
slack {key|xoxp-1234567890-abcdefghij}
-H 'Authorization: Bearer {key|mF_9.B5f-4.1JqMxyz0}'
the password is: {key|Tiger#42}
pwd={key|letmein99}
root password: {key|p@ssw0rd}
spring.datasource.password={key|S3cr3t_db}
"password": "{key|open sesame 99}"
secret_key = '{key|django-insecure-4f8h2k9d7s6a}'
AccountKey={key|Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq==};EndpointSuffix=core
token={key|9f86d081884c7d659a2feaa0c55ad015}&user=5
redis://{url_credentials|:p4ssw0rd}@cache.example.com:6379/0
mongodb+srv://{url_credentials|app:Qwerty1}@cluster0.example.net/db
https://{url_credentials|oauth2:glpat}@gitlab.example.com/x.git
Add 212 to 555 and then multiply by 0123.
My order 998-555-0123-77 never arrived
The 2019-2020 season: 38 games, 26 wins, 7 draws
John has 5550123 marbles and gives away 1234567.
Case no. 2021-123-4567 was dismissed
Grant 5R01CA123456-02 funded this
Lot 123-45-678, batch 12-3456789
EIN 12-3456789
Room 212.555 on floor 3
$5,555,555,555,554,444
4111 apples and 1111 pears, 1111 plums, 1111 figs
GPS 40.7128, -74.0060
40.712776,-74.005974
timestamp 20240501123045
build 2024.05.01.1234
python 3.12.1.4
OpenSSL 1.1.1.1 release
release 10.15.7.2 of macOS
OID 1.3.6.1.4.1.311
EC 2.7.11.1 kinase
DSM-5 296.32, ICD-10 F33.1
CAS 7732-18-5
Ensembl ENSG00000139618
rs1234567890 (p = 5e-8)
GenBank AB123456.1
UniProt P12345, PDB 1ABC
HGNC:1100
PMC1234567
arXiv:2101.00001v2
ORCID-like 0000-0002
2.5 mg/kg at 0, 12, 24 and 36 h
1.5-2.5-3.5 ratios
Phone number required
Enter your card number and PIN
my pin is blocked
password reset link expired
I forgot my password: can you help?
Please reset the password; it is wrong
The secret: work hard
token: the smallest unit of text
api key: see the documentation
Set PASSWORD=$PASSWORD first
passwd: files systemd
def login(user, password=None):
self.password = password
if token == expected_token:
"token_type": "bearer"
access_token: string
Basic authentication is enabled
A bearer token is required
12:34:56:78 elapsed
aspect 16:9:4:3
fe:ed is no address
f(x)::g(y)
Nets 110: Lakers 109
0800 hours to 1700 hours
0900-1700 Monday
Bus 01 02 03 stops here
2 x 4 x 8 x 16 x 32
1/2 + 1/3 + 1/6
800 m, 1500 m, 5000 m
123 456 789 + 987 654 321
Seiten 0123-0145
ab 0123 cd 4567
5-4-3-2-1 go
09/11/2001 08:46
tel aviv 2024
call of duty 4
I have 2 phones and 12345678 photos
contact lens 1234567
sku 4006381333931
ticket INC0012345
N95-2020-555
PO Box 1234567
user id 12345678
id: 20240501
employee ID 1234567
@types/node@20.11.5
x@y
foo@bar..com
@@ -1,4 +1,5 @@
a@1.2
C:\Users\ann\file.txt
s3://bucket/key@v1
ssh://git@host.example.com/repo
`
