package redact

import (
	"net/netip"
	"strings"
)

// versionBytes is how far before a number the word may be that makes it a version:
// between "kernel" and an address in a line of a log there is more.
const versionBytes = 16

// dotted looks for an IPv4 address at i and tells whether there is something
// like one.
func dotted(text string, i int, add found) bool {
	end, dots := i, 0
	for end < len(text) && end-i < 16 && (isDigit(text[end]) || text[end] == '.' && end+1 < len(text) && isDigit(text[end+1])) {
		if text[end] == '.' {
			dots++
		}
		end++
	}
	if dots != 3 {
		return false
	}
	if end-i > 15 || end < len(text) && (isAlnum(text[end]) || text[end] == '_') || !startsAddress(text, i) {
		return false
	}
	address, err := netip.ParseAddr(text[i:end])
	if err != nil || address.IsLoopback() || address.IsUnspecified() || text[i:end] == "255.255.255.255" {
		return false
	}
	about := topicOf(text, i, end)
	if lastTopic(text[max(0, i-versionBytes):i]) == versionTopic || isOutline(text[i:end]) && about != networkTopic {
		return true
	}
	add(IP, i, end)
	return true
}

// isOutline tells whether an address can be the number of a section, a version or
// an object identifier: four digits, but for those that public name servers have.
func isOutline(address string) bool {
	return len(address) == len("1.2.3.4") && strings.Trim(address, address[:1]+".") != ""
}

// startsAddress tells whether an address can start at i: not a version, such as
// v1.2.3.4 or Name/1.2.3.4, nor the rest of a longer number.
func startsAddress(text string, i int) bool {
	if i == 0 {
		return true
	}
	switch c := text[i-1]; c {
	case '/':
		return i < 2 || !isAlnum(text[i-2])
	case '.', '-', '_':
		return false
	default:
		return !isAlnum(c)
	}
}

const maxIPv6Bytes = 45

// ipv6 looks for an IPv6 address at i, with its zone.
func ipv6(text string, i int, add found) {
	end, colons, digits := i, 0, 0
	for end < len(text) && end-i <= maxIPv6Bytes && (isHex(text[end]) || text[end] == ':' || text[end] == '.') {
		if text[end] == ':' {
			colons++
		} else if isDigit(text[end]) {
			digits++
		}
		end++
	}
	if colons < 2 || digits == 0 || i > 0 && (text[i-1] == ':' || text[i-1] == '.') {
		return
	}
	for end > i && (text[end-1] == '.' || text[end-1] == ':' && text[end-2] != ':') {
		end--
	}
	if end < len(text) && (isAlnum(text[end]) || text[end] == '_') {
		return
	}
	address, err := netip.ParseAddr(text[i:end])
	if err != nil || address.IsLoopback() || address.IsUnspecified() || strings.Count(text[i:end], ":") == 2 && end-i < 7 {
		return
	}
	if end < len(text) && text[end] == '%' {
		zone := end + 1
		for zone < len(text) && zone-end < 16 && isAlnum(text[zone]) {
			zone++
		}
		if zone > end+1 {
			end = zone
		}
	}
	add(IP, i, end)
}

// mac looks for a hardware address at i: six pairs with colons or dashes, or
// three groups of four with dots.
func mac(text string, i int, add found) {
	group := 2
	if i+4 < len(text) && text[i+4] == '.' {
		group = 4
	}
	if i+17 > len(text) && (group == 2 || i+14 > len(text)) {
		return
	}
	separator := text[i+group]
	switch {
	case group == 2 && separator != ':' && separator != '-':
		return
	case i > 0 && (text[i-1] == ':' || text[i-1] == '-' || text[i-1] == '.'):
		return
	}
	end := i + 12 + 12/group - 1
	letters, first := 0, text[i]
	same := true
	for k := i; k < end; k++ {
		if (k-i)%(group+1) == group {
			if text[k] != separator {
				return
			}
			continue
		}
		if !isHex(text[k]) {
			return
		}
		if !isDigit(text[k]) {
			letters++
		}
		same = same && text[k] == first
	}
	if same || separator != ':' && letters == 0 {
		return // no device has it, or it is a date or a number
	}
	if end < len(text) && (isAlnum(text[end]) || (text[end] == separator && separator != '.') && end+1 < len(text) && isHex(text[end+1])) {
		return
	}
	add(MAC, i, end)
}

const maxCredentialBytes = 4096

// urlCredentials looks for user:password@ behind the :// at i and returns the end
// of what it has found.
func urlCredentials(text string, i int, add found) int {
	start := i + 3
	at := 0
	for k := start; k < len(text) && k-start < maxCredentialBytes; k++ {
		c := text[k]
		if c == '@' {
			at = k
		}
		if c <= ' ' || strings.IndexByte("/?#\"'<>`\\", c) >= 0 {
			break
		}
	}
	if at > start && strings.IndexByte(text[start:at], ':') >= 0 {
		add(URLCredentials, start, at)
		return at
	}
	return 0
}
