// Package probe fits the closed-form head of the paper's authors to features of a frozen network: ridge regression on
// standardised features (big_vision, evaluators/fewshot_lsr.py). It needs no steps, no learning rate and seconds
// instead of minutes.
//
// # The head
//
// N examples have features x [D], a class each, and C classes in all. Every feature is standardised by its mean and
// population standard deviation over the examples, z = (x − mean) / (std + 1e-5); a constant feature of 100 stands for
// the bias; the target of a class is +1 for its examples and −1 for all others. Ridge regression with penalty λ gives
//
//	W = argmin ‖ZW − Y‖² + λ‖W‖²
//
// As the standardised features are centred, the constant is orthogonal to them and its weight is known without solving
// anything; what remains is one symmetric system, of order D if N >= D ([primal]) and of order N otherwise ([dual]).
//
// The outputs are then scaled so that their softmax says how sure to be, and the standardisation is folded in, which
// leaves an ordinary linear [Head]: logits = xK + b.
//
// # Leave one out
//
// What the head would say of an example if that had not been among those it was fitted to has a closed form: with h the
// leverage zᵀ(ZᵀZ + λI)⁻¹z of an example, the residual is (y − ŷ) / (1 − h). It is exact for the system above, whose
// standardisation is that of all examples. [LeaveOneOut] holds these outputs; the penalty and the scale are chosen by
// them where they are not given, so that no example is set aside.
//
// # Statistics
//
// [Statistics] are all that the head depends on. They grow by examples, by classes and by merging, and do not depend on
// the order of any of that: a head extended by a class is the head fitted to everything at once. While there are fewer
// examples than features they are the examples; from then on sums of first and second order, and a sample of the examples
// to leave out.
package probe
