package flow

import (
	"net/netip"
	"strconv"
	"strings"
	"unicode"

	"golang.org/x/net/idna"
)

// Display is a host name or an address as people may see it. A part that DNS carries as xn--… is shown
// in its own letters only if nobody can be taken in by them; else it stays as it is. The
// rules are those that browsers have, on the careful side:
//   - the letters are of one script, or of those that are written together in Chinese,
//     Japanese and Korean, with Latin among them;
//   - none of them looks like a dot, a slash or a hyphen, and not all of them look like
//     Latin letters or digits;
//   - no digits of other scripts, no joiners, no marks upon letters that can do without;
//   - no script that runs from right to left: beside dots and Latin letters it would
//     change the order in which the parts are read.
//
// What is no host name is quoted: no control character and none that turns the writing
// round is ever in what Display returns. It may be called from any goroutine.
func Display(name string) string {
	plain, ok := HostName(name)
	if !ok {
		if a, err := netip.ParseAddr(name); err == nil {
			return a.WithZone("").String()
		}
		return strconv.QuoteToASCII(name)
	}
	if !strings.Contains(plain, punycode) {
		return plain
	}
	labels := strings.Split(plain, ".")
	// Who gives out top-level names takes care, and below one in the same script letters
	// like Latin ones are no pretence.
	top := kindOf(labels[len(labels)-1])
	for i, l := range labels {
		if u, k := unicodeLabel(l); k != nil && (k == top || !looksLatin(u)) {
			labels[i] = u
		}
	}
	return strings.Join(labels, ".")
}

const punycode = "xn--"

var profile = idna.New(idna.StrictDomainName(true), idna.ValidateLabels(true), idna.CheckHyphens(true),
	idna.CheckJoiners(true), idna.BidiRule(), idna.VerifyDNSLength(true))

// unicodeLabel is a label in its own letters and their kind, nil if it may not be shown in
// them.
func unicodeLabel(label string) (string, *kind) {
	if !strings.HasPrefix(label, punycode) {
		return "", nil
	}
	u, err := profile.ToUnicode(label)
	if err != nil {
		return "", nil
	}
	// There must be one way to write it only.
	if back, err := profile.ToASCII(u); err != nil || back != label {
		return "", nil
	}
	rs := []rune(u)
	for i := range kinds {
		if kinds[i].has(rs) && !strokes(rs) {
			return u, &kinds[i]
		}
	}
	return "", nil
}

func kindOf(label string) *kind {
	_, k := unicodeLabel(label)
	return k
}

// kind is a set of scripts that are written together.
type kind struct {
	scripts []*unicode.RangeTable
	marks   bool // marks upon letters are part of it
	latin   bool // Latin letters are usual among it
}

var kinds = []kind{
	{scripts: []*unicode.RangeTable{unicode.Latin}},
	{scripts: []*unicode.RangeTable{unicode.Greek}},
	{scripts: []*unicode.RangeTable{unicode.Cyrillic}},
	{scripts: []*unicode.RangeTable{unicode.Armenian}},
	{scripts: []*unicode.RangeTable{unicode.Georgian}},
	{scripts: []*unicode.RangeTable{unicode.Han, unicode.Hiragana, unicode.Katakana}, latin: true},
	{scripts: []*unicode.RangeTable{unicode.Han, unicode.Bopomofo}, latin: true},
	{scripts: []*unicode.RangeTable{unicode.Han, unicode.Hangul}, latin: true},
	{scripts: []*unicode.RangeTable{unicode.Ethiopic}},
	{scripts: []*unicode.RangeTable{unicode.Bengali}, marks: true},
	{scripts: []*unicode.RangeTable{unicode.Devanagari}, marks: true},
	{scripts: []*unicode.RangeTable{unicode.Gujarati}, marks: true},
	{scripts: []*unicode.RangeTable{unicode.Gurmukhi}, marks: true},
	{scripts: []*unicode.RangeTable{unicode.Kannada}, marks: true},
	{scripts: []*unicode.RangeTable{unicode.Khmer}, marks: true},
	{scripts: []*unicode.RangeTable{unicode.Lao}, marks: true},
	{scripts: []*unicode.RangeTable{unicode.Malayalam}, marks: true},
	{scripts: []*unicode.RangeTable{unicode.Myanmar}, marks: true},
	{scripts: []*unicode.RangeTable{unicode.Oriya}, marks: true},
	{scripts: []*unicode.RangeTable{unicode.Sinhala}, marks: true},
	{scripts: []*unicode.RangeTable{unicode.Tamil}, marks: true},
	{scripts: []*unicode.RangeTable{unicode.Telugu}, marks: true},
	{scripts: []*unicode.RangeTable{unicode.Thai}, marks: true},
}

func (k *kind) has(rs []rune) bool {
	marks := 0
	for i, r := range rs {
		switch {
		case r == '-' || r >= '0' && r <= '9':
		case r >= 'a' && r <= 'z' && k.latin:
		case r == 'ー': // lengthens the kana before it; by itself it is a dash
			if !k.latin || i == 0 || !unicode.In(rs[i-1], unicode.Hiragana, unicode.Katakana) {
				return false
			}
		case unicode.Is(unicode.M, r):
			if marks++; !k.marks || marks > 2 || !unicode.In(r, k.scripts...) {
				return false
			}
			continue
		case !unicode.IsLetter(r) || !unicode.In(r, k.scripts...):
			return false
		case unicode.Is(unicode.Latin, r) && !usualLatin(r):
			return false
		}
		marks = 0
	}
	return true
}

// usualLatin reports whether r is a letter of a living European language or Vietnamese
// that isn't taken for another: among the rest are clicks that look like exclamation
// marks, dotless letters and open ones.
func usualLatin(r rune) bool {
	switch {
	case r >= 'a' && r <= 'z':
		return true
	case strings.ContainsRune("þĸŀŉıſ", r):
		return false
	case r >= 0xdf && r <= 0x17f && r != '÷':
		return true
	case r >= 0x1ea0 && r <= 0x1ef9, strings.ContainsRune("ơưșț", r):
		return true
	}
	return false
}

// strokes reports whether letters of Chinese or Japanese stand alone, or among Latin
// letters and digits, where they look like slashes, dots and dashes.
func strokes(rs []rune) bool {
	for i := 0; i < len(rs); i++ {
		if !strings.ContainsRune(strokeLike, rs[i]) {
			continue
		}
		first := i
		for i+1 < len(rs) && strings.ContainsRune(strokeLike+"ー", rs[i+1]) {
			i++
		}
		before, after := first > 0, i+1 < len(rs)
		cjk := before && rs[first-1] >= 0x80 || after && rs[i+1] >= 0x80
		if !cjk && (before || after || first == i) {
			return true
		}
	}
	return false
}

const strokeLike = "ノソゾンハニイノへヘ一丨丶丿乀乁二八卜〇ㄧㄱ"

// likeLatin are letters that can be taken for Latin ones or digits, by script: a name made
// of nothing else is one that pretends.
const likeLatin = "абвгезһіїјкӏмнопрстухѕыьѵԁԍԛԝүҽѡѐёйќўќ" + // Cyrillic
	"αβγεηικνορστυχωϲϳάέήίϊΐόύϋΰώ" + // Greek
	"ագզէհյնոսուօցքւսկտ" + // Armenian
	"იოყხძჿეპ" + // Georgian
	"ሀሠሰስበነተዐዕፐከዘዞየፀ" + // Ethiopic
	"ဝငပသဂ" + // Burmese
	"০౦೦൦ഠറരഗදටාขทนบพรหเแดลปฟม" // and round ones of the south

func looksLatin(label string) bool {
	for _, r := range label {
		if r >= 'a' && r <= 'z' || r == '-' || r >= '0' && r <= '9' {
			continue
		}
		if !strings.ContainsRune(likeLatin, r) {
			return false
		}
	}
	return true
}
