// Package text says things in the person's language: T finds a sentence in the
// translations of package assets, and Safe makes words that come from a program, an
// address or a name fit to be shown. It formats no flows and knows no Fyne, so that
// package view can use it.
//
// The language is set once at the start and read from any goroutine.
package text

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync/atomic"

	"sekisho/assets"
)

// language is one translation: for each key its plural forms.
type language struct {
	code  string
	forms map[string]forms
}

type forms struct{ one, other string }

var current atomic.Pointer[language]

// SetLanguage chooses the language of everything that T says from now on.
func SetLanguage(code string) error {
	l, err := load(code)
	if err != nil {
		return err
	}
	current.Store(l)
	return nil
}

// Language is the code of the language in use.
func Language() string { return in().code }

// FromEnvironment is the code of the desktop's language if there is a translation for
// it, else "en".
func FromEnvironment() string {
	for _, v := range []string{"LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG"} {
		for _, want := range strings.Split(os.Getenv(v), ":") {
			code, _, _ := strings.Cut(want, "_")
			code, _, _ = strings.Cut(code, ".")
			if slices.Contains(assets.Languages(), code) {
				return code
			}
		}
	}
	return "en"
}

// in is the language in use: English until one was set.
func in() *language {
	if l := current.Load(); l != nil {
		return l
	}
	l, err := load("en")
	if err != nil {
		l = &language{code: "en"}
	}
	current.CompareAndSwap(nil, l)
	return current.Load()
}

func load(code string) (*language, error) {
	b := assets.Translation(code)
	if b == nil {
		return nil, fmt.Errorf("language %q: want one of %s", code, strings.Join(assets.Languages(), ", "))
	}
	var raw map[string]json.RawMessage
	if err := json.Unmarshal(b, &raw); err != nil {
		return nil, fmt.Errorf("read translation %s: %w", code, err)
	}
	l := &language{code: code, forms: make(map[string]forms, len(raw))}
	for key, v := range raw {
		var s string
		var plural struct{ One, Other string }
		if json.Unmarshal(v, &s) == nil {
			l.forms[key] = forms{other: s}
		} else if err := json.Unmarshal(v, &plural); err == nil {
			l.forms[key] = forms{one: plural.One, other: plural.Other}
		} else {
			return nil, fmt.Errorf("read translation %s: %s: %w", code, key, err)
		}
	}
	return l, nil
}

// T is the sentence for key, with its gaps {{.Name}} filled from args: names and values
// in turn, as in T("prompt.port", "N", 443). The argument N chooses the plural form.
// String arguments are shown as Visible shows them, so that no name can disturb a
// sentence. An unknown key is returned as it is; a test in assets keeps that from
// happening.
func T(key string, args ...any) string {
	f, ok := in().forms[key]
	if !ok {
		return key
	}
	s := f.other
	var gaps []string
	for i := 0; i+1 < len(args); i += 2 {
		name, value := args[i].(string), Visible(fmt.Sprint(args[i+1]))
		if name == "N" && value == "1" && f.one != "" {
			s = f.one
		}
		gaps = append(gaps, "{{."+name+"}}", value)
	}
	if len(gaps) == 0 {
		return s
	}
	return strings.NewReplacer(gaps...).Replace(s)
}

// Has reports whether there is a sentence for key: for keys that are built from codes
// which a newer service may send.
func Has(key string) bool {
	_, ok := in().forms[key]
	return ok
}
