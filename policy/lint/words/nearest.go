package words

import (
	"slices"
	"strings"

	"github.com/agnivade/levenshtein"
)

// Nearest returns the candidate that a name most likely misspells, or "" if none is near: a wrong hint, such as a
// sibling's name, is worse than none.
func Nearest(name string, candidates []string) string {
	best, fewest := "", 0
	for _, candidate := range candidates {
		if edits, near := editsTo(name, candidate); near && (best == "" || edits < fewest) {
			best, fewest = candidate, edits
		}
	}
	return best
}

// NearestOf is Nearest among the only possible names, which the message lists: there, one different letter is more
// likely a typo than another word.
func NearestOf(name string, all []string) string {
	if near := Nearest(name, all); near != "" {
		return near
	}
	isSlip := func(other string) bool { return other != name && levenshtein.ComputeDistance(name, other) == 1 }
	if i := slices.IndexFunc(all, isSlip); i >= 0 {
		return all[i]
	}
	return ""
}

// editsTo counts the letters to change from one name to another, and says whether they are so few that it is the same
// word misspelt. Common parts, such as a prefix with the application's name, do not count. A missing part is no
// misspelling, and a different number never is.
func editsTo(name, candidate string) (edits int, near bool) {
	a, b := parts(name), parts(candidate)
	for len(a) > 1 && len(b) > 1 && a[0] == b[0] {
		a, b = a[1:], b[1:]
	}
	for len(a) > 1 && len(b) > 1 && a[len(a)-1] == b[len(b)-1] {
		a, b = a[:len(a)-1], b[:len(b)-1]
	}
	first, second := []rune(strings.Join(a, "")), []rune(strings.Join(b, ""))
	apart, shorter := len(first)-len(second), min(len(first), len(second))
	switch most := max(1, shorter/3); {
	case max(apart, -apart) > most || shorter < 2, digitsOf(first) != digitsOf(second):
		return 0, false
	case isSwapped(first, second):
		return 1, true
	default:
		edits = levenshtein.ComputeDistance(string(first), string(second))
		// Of a short word, another letter in one place makes another word.
		return edits, edits <= most && (shorter > 3 || apart != 0 || edits == 0)
	}
}

// parts are the words of a name.
func parts(name string) []string {
	return strings.FieldsFunc(strings.ToLower(name), func(r rune) bool { return strings.ContainsRune("-_./", r) })
}

func digitsOf(word []rune) string {
	isLetter := func(r rune) bool { return r < '0' || r > '9' }
	return string(slices.DeleteFunc(slices.Clone(word), isLetter))
}

// isSwapped says whether two neighbours of one word have changed places in the other.
func isSwapped(a, b []rune) bool {
	if len(a) != len(b) {
		return false
	}
	i := 0
	for i < len(a) && a[i] == b[i] {
		i++
	}
	return i+1 < len(a) && a[i] == b[i+1] && a[i+1] == b[i] && slices.Equal(a[i+2:], b[i+2:])
}
