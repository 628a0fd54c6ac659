package flow

// Warning is a fact that should make a person look twice. Code is stable and what the
// translations are keyed by; Text is the English sentence.
type Warning struct {
	Code string `json:"code"`
	Text string `json:"text"`
	// Value fills the sentence's gap in other languages (a folder, a program's name).
	Value string `json:"value,omitempty"`
}
