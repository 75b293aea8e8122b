package redact

import "strings"

// prefixes start the keys of services that mark them, with the least number of
// characters behind and whether capitals and digits are all there is.
var prefixes = []struct {
	text  string
	least int
	upper bool
}{
	{"sk-", 20, false}, {"sk_live_", 16, false}, {"sk_test_", 16, false}, {"rk_live_", 16, false}, {"rk_test_", 16, false}, {"pk_live_", 16, false},
	{"whsec_", 16, false}, {"AKIA", 16, true}, {"ASIA", 16, true},
	{"ghp_", 36, false}, {"gho_", 36, false}, {"ghu_", 36, false}, {"ghs_", 36, false}, {"ghr_", 36, false}, {"github_pat_", 22, false},
	{"glpat-", 20, false}, {"xoxb-", 10, false}, {"xoxa-", 10, false}, {"xoxp-", 10, false}, {"xoxr-", 10, false}, {"xoxs-", 10, false}, {"xapp-", 10, false},
	{"AIza", 35, false}, {"ya29.", 20, false}, {"hf_", 30, false}, {"gsk_", 40, false}, {"xai-", 40, false}, {"npm_", 36, false}, {"pypi-", 40, false},
	{"SG.", 40, false}, {"dop_v1_", 40, false}, {"shpat_", 32, false}, {"lin_api_", 30, false}, {"r8_", 30, false}, {"tvly-", 20, false}, {"pplx-", 40, false},
}

// prefixBytes are the bytes with which a prefix begins.
var prefixBytes = func() (first [256]bool) {
	for _, p := range prefixes {
		first[p.text[0]] = true
	}
	first['e'], first['B'], first['b'] = true, true, true // JWT, Bearer, Basic
	return first
}()

func isKeyByte(c byte) bool { return isAlnum(c) || c == '_' || c == '-' }

// keyEnd returns the end of the characters of keys and of extra at i.
func keyEnd(text string, i int, extra string) int {
	for i < len(text) && (isKeyByte(text[i]) || strings.IndexByte(extra, text[i]) >= 0) {
		i++
	}
	return i
}

// secret looks for a key with a prefix, a JSON web token, or what an HTTP
// authorization carries, at i.
func secret(text string, i int, add found) {
	if !prefixBytes[text[i]] || i > 1 && (text[i-1] == '-' || text[i-1] == '.') && isAlnum(text[i-2]) {
		return // the rest of a long key is not read again
	}
	rest := text[i:]
	for _, p := range prefixes {
		if !strings.HasPrefix(rest, p.text) {
			continue
		}
		extra := ""
		if strings.HasSuffix(p.text, ".") {
			extra = "."
		}
		end := keyEnd(text, i+len(p.text), extra)
		value := strings.TrimRight(text[i+len(p.text):end], "-_.")
		if len(value) < p.least || !hasDigit(value) || p.upper && (len(value) != p.least || strings.ToUpper(value) != value) {
			continue
		}
		add(Key, i, i+len(p.text)+len(value))
		return
	}
	switch {
	case strings.HasPrefix(rest, "eyJ"):
		end := keyEnd(text, i, ".")
		token := strings.TrimRight(text[i:end], ".")
		if parts := strings.Split(token, "."); len(parts) >= 3 && len(parts[0]) >= 10 && len(parts[1]) >= 4 {
			add(Key, i, i+len(token))
		}
	case hasPrefixFold(rest, "bearer "), hasPrefixFold(rest, "basic "):
		start := i + strings.IndexByte(rest, ' ') + 1
		end := start + len(strings.TrimRight(text[start:keyEnd(text, start, ".~+/=")], "."))
		if end-start >= 16 && (hasDigit(text[start:end]) || text[end-1] == '=') {
			add(Key, start, end)
		}
	}
}

func hasDigit(s string) bool { return strings.ContainsAny(s, "0123456789") }

func hasPrefixFold(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}

// pemFinder finds private keys in PEM form (RFC 7468). It remembers how far it
// has looked for an end, so that many beginnings without one cost no more.
type pemFinder struct {
	text   string
	done   int // what is before was found or looked at
	endsAt int // the first END at or behind the last BEGIN, -1 for none
	looked int // endsAt is right for beginnings from done to here
}

const pemBegin, pemEnd = "-----BEGIN ", "-----END "

// find looks for a private key whose first dash is at i.
func (p *pemFinder) find(i int, add found) {
	if i < p.done || !strings.HasPrefix(p.text[i:], pemBegin) {
		return
	}
	label := p.text[i+len(pemBegin):]
	label, _, ok := strings.Cut(label[:min(len(label), 64)], "-----")
	if !ok || !strings.Contains(label, "PRIVATE KEY") {
		return
	}
	if p.endsAt >= 0 && p.endsAt < i || p.looked == 0 {
		p.looked = 1
		if at := strings.Index(p.text[i:], pemEnd+label+"-----"); at >= 0 {
			p.endsAt = i + at
		} else {
			p.endsAt = -1
		}
	}
	end := p.endsAt + len(pemEnd) + len(label) + len("-----")
	if p.endsAt < 0 || end > len(p.text) {
		// Cut off: what follows in the alphabet of base64 and of headers.
		end = i + len(pemBegin) + len(label) + len("-----")
		end = keyEnd(p.text, end, "+/=\r\n\\ :,")
	}
	p.done = end
	add(Key, i, end)
}
