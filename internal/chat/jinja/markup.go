package jinja

import "strings"

var htmlEscaper = strings.NewReplacer("&", "&amp;", ">", "&gt;", "<", "&lt;", "'", "&#39;", `"`, "&#34;")

// escapeText is the text of a string, escaped unless it is marked safe.
func escapeText(v Value) string {
	if m, ok := v.(markup); ok {
		return string(m)
	}
	s, _ := asString(v)
	return htmlEscaper.Replace(s)
}

// escaped escapes the strings of a value that is put into marked text.
func escaped(v Value) Value {
	switch x := v.(type) {
	case string:
		return htmlEscaper.Replace(x)
	case *Tuple:
		out := &Tuple{Items: make([]Value, len(x.Items))}
		for i, item := range x.Items {
			out.Items[i] = escaped(item)
		}
		return out
	}
	return v
}

// marked marks the strings of what a method of marked text returned.
func marked(v Value) Value {
	switch x := v.(type) {
	case string:
		return markup(x)
	case *List:
		for i, item := range x.Items {
			x.Items[i] = marked(item)
		}
	case *Tuple:
		for i, item := range x.Items {
			x.Items[i] = marked(item)
		}
	}
	return v
}
