package redact

import (
	"strings"
	"unicode"
)

// secretNames end the names of secret values, in small letters without dashes
// and underscores. Those that are true are passwords, which may be plain words.
var secretNames = map[string]bool{
	"password": true, "passwd": true, "pwd": true, "passphrase": true, "pass": true, "passcode": true, "pin": true,
	"passwort": true, "kennwort": true, "motdepasse": true, "contraseña": true, "clave": true, "wachtwoord": true, "senha": true, "hasło": true,
	"пароль": true, "密码": true, "密碼": true, "パスワード": true, "비밀번호": true,
	"apikey": false, "secret": false, "secretkey": false, "accesskey": false, "secretaccesskey": false, "privatekey": false, "clientsecret": false,
	"token": false, "accesstoken": false, "authtoken": false, "refreshtoken": false, "apitoken": false, "accountkey": false, "sharedaccesskey": false,
	"sessionid": false, "sessiontoken": false, "encryptionkey": false, "signingkey": false, "authkey": false, "credential": false, "credentials": false,
}

const maxSecretName = 40

// secretName returns whether the name that ends at end is one of a secret, and
// whether of a password.
func secretName(text string, end int) (password, ok bool) {
	for end > 0 && strings.IndexByte(" \"'\\*`", text[end-1]) >= 0 {
		end--
	}
	if strings.HasSuffix(text[:end], " is") {
		end -= len(" is")
	}
	// The last parts of the name, joined, until one of the names comes out.
	var name []byte
	for i := end; i > 0 && end-i < maxSecretName; i-- {
		c := text[i-1]
		if c == '_' || c == '-' || c == '.' || c == ' ' {
			if password, ok = nameOf(name); ok {
				return password, true
			}
			if c == '.' {
				return false, false
			}
			continue
		}
		if !isWordByte(c) && !isDigit(c) {
			break
		}
		name = append(name, c)
	}
	return nameOf(name)
}

// nameOf looks up a reversed name, whole or behind a small letter.
func nameOf(reversed []byte) (password, ok bool) {
	name := make([]byte, len(reversed))
	for i, c := range reversed {
		name[len(name)-1-i] = c
	}
	for i, c := range name {
		if i == 0 || c >= 'A' && c <= 'Z' && name[i-1] >= 'a' && name[i-1] <= 'z' || c >= 0xe3 && c < 0xf0 {
			if password, ok = secretNames[strings.ToLower(string(name[i:]))]; ok {
				return password, true
			}
		}
	}
	return false, false
}

// maxSecretBytes is how far the end of a value is looked for.
const maxSecretBytes = 512

// assignment looks for the value of a secret behind the colon or equals sign at
// i, and returns the end of what it has found.
func assignment(text string, i int, add found) int {
	if i == 0 || text[i-1] == text[i] || i+1 < len(text) && (text[i+1] == '=' && text[i] == '=' || text[i+1] == ':') {
		return 0
	}
	password, ok := secretName(text, i)
	if !ok {
		return 0
	}
	start := i + 1
	for start < len(text) && start-i < 8 && strings.IndexByte(" =>*", text[start]) >= 0 {
		start++
	}
	start, end, quoted := secretValue(text, start)
	if !quoted && isReference(text, i, start, end) || !isSecretValue(text[start:end], password, quoted, text[i] == '=') {
		return 0
	}
	if end-start == maxSecretBytes {
		end = keyEnd(text, end, "+/=")
	}
	add(Key, start, end)
	return end
}

// secretValue returns the value at start: what is in quotes, or up to white space
// or a separator.
func secretValue(text string, start int) (from, end int, quoted bool) {
	k := start
	for k < len(text) && text[k] == '\\' {
		k++ // an escaped quote, in a text within a text
	}
	if k < len(text) && (text[k] == '"' || text[k] == '\'' || text[k] == '`') {
		quote := text[k]
		escaped := k > start
		for end = k + 1; end < len(text) && end-k < maxSecretBytes; end++ {
			switch {
			case text[end] == '\n':
				return start, start, false
			case text[end] == '\\' && escaped && end+1 < len(text) && text[end+1] == quote, text[end] == quote:
				return k + 1, end, true
			case text[end] == '\\':
				end++
			}
		}
		return start, start, false
	}
	end = start
	for end < len(text) && end-start < maxSecretBytes && !endsValue[text[end]] && !(text[end] == '&' && startsParameter(text[end+1:])) &&
		!(text[end] == '\\' && strings.HasPrefix(text[end:], "\\n")) && !(text[end] == 0xe3 && strings.HasPrefix(text[end:], "。")) {
		end++
	}
	return start, start + len(strings.TrimRight(text[start:end], ".?:*")), false
}

// isReference tells whether what stands behind the equals sign or colon at i is
// an expression of a programming language: a call, an element, another variable.
func isReference(text string, i, start, end int) bool {
	if end < len(text) && (text[end] == '(' || text[end] == '[') {
		return true
	}
	value := text[start:end]
	if _, ok := secretName(value, len(value)); ok {
		return true
	}
	name := strings.Trim(strings.ToLower(value), "abcdefghijklmnopqrstuvwxyz_.") == ""
	return name && (start > i+1 || strings.IndexByte(value, '.') > 0)
}

// startsParameter tells whether a name and an equals sign stand at the start of
// text: the next parameter of a query.
func startsParameter(text string) bool {
	end := keyEnd(text[:min(len(text), maxSecretName)], 0, "")
	return end > 0 && end < len(text) && text[end] == '='
}

// endsValue are the bytes that end a value without quotes.
var endsValue = func() (ends [256]bool) {
	for c := range ' ' + 1 {
		ends[c] = true
	}
	for _, c := range "\"'`,;<>()[]{}|" {
		ends[c] = true
	}
	return ends
}()

// noSecrets are values that stand where a secret will be.
const noSecrets = ` password passwd string null none nil true false undefined required optional example secret token changeme text hidden str int bool bytes any `

// isSecretValue tells whether a value is a secret and not its type, a
// placeholder, a variable or prose.
func isSecretValue(value string, password, quoted, assigned bool) bool {
	if len(value) < 4 || len(value) > maxSecretBytes || strings.Contains(noSecrets, " "+strings.ToLower(value)+" ") ||
		strings.IndexByte("$<{%[*", value[0]) >= 0 || allSame(value) || value[0] == '/' && strings.IndexByte(value[1:], '/') >= 0 {
		return false
	}
	if strings.IndexFunc(value, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }) < 0 {
		return false
	}
	symbols := strings.ContainsAny(value, "!@#$%^&*+~=/")
	digits := hasDigit(value)
	switch {
	case password && (quoted || assigned):
		return !strings.Contains(value, " ") || quoted && len(value) >= 8 && len(value) <= 64
	case password:
		return digits && len(value) >= 4 || symbols && len(value) >= 6
	case quoted || assigned:
		return len(value) >= 8 && (digits || len(value) >= 16) && !strings.Contains(value, " ") && !strings.Contains(value, "..")
	default:
		return len(value) >= 12 && digits
	}
}

// isNamedSecret tells whether a text as a whole is the value of a secret's name.
func isNamedSecret(name, text string) bool {
	password, ok := secretName(name, len(name))
	return ok && isSecretValue(text, password, true, true)
}
