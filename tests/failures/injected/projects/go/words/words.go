// Package words looks at words.
package words

import "strings"

// Longest returns the longest word of a text.
func Longest(text string) string {
	longest := ""
	for _, word := range strings.Fields(text) {
		if len(word) > len(longest) {
			longest = word
		}
	}
	return longest
}
