package main

import (
	"fmt"

	"example.org/speller/words"
)

func main() {
	fmt.Println(words.Longest("a bee and an ant"))
}
