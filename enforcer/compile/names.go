package compile

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"github.com/apptier/apptier/enforcer/nft"
)

// hashedName returns prefix-readable-hash. The hash of content alone makes the name unique, so
// what bears it never changes but for a set's elements; the rest is for people.
func hashedName[T string | []byte](prefix, readable string, content T) string {
	sum := sha256.Sum256([]byte(content))
	name := prefix
	if readable = identifier(readable); readable != "" {
		name += "-" + readable
	}
	return name + "-" + hex.EncodeToString(sum[:6])
}

// readableLength keeps names well below what the kernel and people stand: NFT_NAME_MAXLEN is 256.
const readableLength = 40

// identifier keeps what nft's scanner takes for part of a name: letters, digits, "-", "_", ".".
func identifier(text string) string {
	clean := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '_', r == '.':
			return r
		default:
			return '-'
		}
	}, text)
	if len(clean) > readableLength {
		clean = clean[:readableLength]
	}
	return strings.Trim(clean, "-.")
}

func remark(text string) string { return nft.Remark(text) }
