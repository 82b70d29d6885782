module example.org/speller

go 1.20
