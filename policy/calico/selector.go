package calico

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// conjunction are requirements that must all be met; a selector is any of several.
type conjunction []metav1.LabelSelectorRequirement

func (c conjunction) selector() *metav1.LabelSelector {
	out := &metav1.LabelSelector{}
	for _, r := range c {
		_, isTwice := out.MatchLabels[r.Key]
		if r.Operator == metav1.LabelSelectorOpIn && len(r.Values) == 1 && !isTwice {
			if out.MatchLabels == nil {
				out.MatchLabels = map[string]string{}
			}
			out.MatchLabels[r.Key] = r.Values[0]
			continue
		}
		out.MatchExpressions = append(out.MatchExpressions, r)
	}
	return out
}

// mostConjunctions bounds what a selector becomes: those of several "or" multiply.
const mostConjunctions = 16

// parseSelector reads a selector of Calico (https://docs.tigera.io/calico/latest/reference/resources/networkpolicy#selectors).
// It has the meaning of any of the conjunctions; what a label selector cannot say is an error.
func parseSelector(text string) ([]conjunction, error) {
	if strings.TrimSpace(text) == "" {
		return []conjunction{nil}, nil
	}
	p := &parser{tokens: token.FindAllString(text, -1)}
	if strings.Join(p.tokens, "") != withoutSpaces(text) {
		return nil, fmt.Errorf("%q cannot be read", text)
	}
	out, err := p.or(false)
	if err == nil && len(p.tokens) > 0 {
		err = fmt.Errorf("%q is not expected", p.tokens[0])
	}
	if err != nil {
		return nil, fmt.Errorf("%q: %w", text, err)
	}
	return out, nil
}

// token is a word, a value in quotes, or a sign.
var token = regexp.MustCompile(`'[^']*'|"[^"]*"|==|!=|&&|\|\||[!(){},]|[A-Za-z0-9_./-]+`)

// withoutSpaces is a text without what is between tokens; values keep theirs.
func withoutSpaces(text string) string {
	var out strings.Builder
	var quote rune
	for _, r := range text {
		switch {
		case quote == 0 && strings.ContainsRune(" \t\r\n", r):
			continue
		case quote == 0 && (r == '\'' || r == '"'):
			quote = r
		case r == quote:
			quote = 0
		}
		out.WriteRune(r)
	}
	return out.String()
}

// parser reads tokens. Of what is negated, it reads the opposite.
type parser struct{ tokens []string }

func (p *parser) take(wanted string) bool {
	if len(p.tokens) > 0 && p.tokens[0] == wanted {
		p.tokens = p.tokens[1:]
		return true
	}
	return false
}

func (p *parser) next() string {
	if len(p.tokens) == 0 {
		return ""
	}
	first := p.tokens[0]
	p.tokens = p.tokens[1:]
	return first
}

func (p *parser) or(negated bool) ([]conjunction, error) {
	out, err := p.and(negated)
	for err == nil && p.take("||") {
		var more []conjunction
		more, err = p.and(negated)
		out, err = combined(out, more, !negated, err)
	}
	return out, err
}

func (p *parser) and(negated bool) ([]conjunction, error) {
	out, err := p.operand(negated)
	for err == nil && p.take("&&") {
		var more []conjunction
		more, err = p.operand(negated)
		out, err = combined(out, more, negated, err)
	}
	return out, err
}

// combined is either or both of two selectors.
func combined(a, b []conjunction, either bool, err error) ([]conjunction, error) {
	var out []conjunction
	if either {
		out = slices.Concat(a, b)
	} else {
		for _, first := range a {
			for _, second := range b {
				out = append(out, slices.Concat(first, second))
			}
		}
	}
	if len(out) > mostConjunctions {
		return nil, errors.New("it has too many alternatives")
	}
	return out, err
}

func (p *parser) operand(negated bool) ([]conjunction, error) {
	switch {
	case p.take("!"):
		return p.operand(!negated)
	case p.take("("):
		out, err := p.or(negated)
		if err == nil && !p.take(")") {
			err = errors.New("a bracket is not closed")
		}
		return out, err
	}
	word := p.next()
	switch word {
	case "all":
		if !p.take("(") || !p.take(")") {
			return nil, errors.New("all is written all()")
		}
		if negated {
			return nil, nil // matches nothing
		}
		return []conjunction{nil}, nil
	case "has":
		if !p.take("(") {
			return nil, errors.New("has is written has(label)")
		}
		key := p.next()
		if !p.take(")") {
			return nil, errors.New("has is written has(label)")
		}
		return requirement(key, metav1.LabelSelectorOpExists, nil, negated)
	case "global":
		return nil, errors.New("global() is for what is of no namespace")
	}
	return p.comparison(word, negated)
}

func (p *parser) comparison(key string, negated bool) ([]conjunction, error) {
	switch operator := p.next(); operator {
	case "==", "!=":
		value, err := p.value()
		if err != nil {
			return nil, err
		}
		return requirement(key, metav1.LabelSelectorOpIn, []string{value}, negated != (operator == "!="))
	case "in", "not":
		if operator == "not" && !p.take("in") {
			return nil, errors.New("not is written not in")
		}
		values, err := p.values()
		if err != nil {
			return nil, err
		}
		return requirement(key, metav1.LabelSelectorOpIn, values, negated != (operator == "not"))
	default:
		return nil, fmt.Errorf("%q is no operator of label selectors", operator)
	}
}

func (p *parser) value() (string, error) {
	quoted := p.next()
	if len(quoted) < 2 || quoted[0] != '\'' && quoted[0] != '"' {
		return "", fmt.Errorf("%q is no value in quotes", quoted)
	}
	return quoted[1 : len(quoted)-1], nil
}

func (p *parser) values() ([]string, error) {
	if !p.take("{") {
		return nil, errors.New("a set is written {'a', 'b'}")
	}
	var out []string
	for !p.take("}") {
		value, err := p.value()
		if err != nil {
			return nil, err
		}
		out = append(out, value)
		if !p.take(",") && (len(p.tokens) == 0 || p.tokens[0] != "}") {
			return nil, errors.New("a set is written {'a', 'b'}")
		}
	}
	if len(out) == 0 {
		return nil, errors.New("a set is empty")
	}
	return out, nil
}

var opposites = map[metav1.LabelSelectorOperator]metav1.LabelSelectorOperator{
	metav1.LabelSelectorOpIn: metav1.LabelSelectorOpNotIn, metav1.LabelSelectorOpExists: metav1.LabelSelectorOpDoesNotExist,
}

// requirement is one of a label. Of a label that is not there, both ways of selecting say that it differs.
func requirement(key string, operator metav1.LabelSelectorOperator, values []string, negated bool) ([]conjunction, error) {
	if negated {
		operator = opposites[operator]
	}
	out := &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: key, Operator: operator, Values: values}}}
	if _, err := metav1.LabelSelectorAsSelector(out); err != nil {
		return nil, err
	}
	return []conjunction{out.MatchExpressions}, nil
}
