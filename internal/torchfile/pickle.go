package torchfile

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strings"
	"unicode/utf8"
)

// The values of a pickle: nil, bool, int64, float64, string, and these.
type (
	tuple []any
	list  struct{ items []any }
	dict  struct{ keys, values []any } // in order; a key that is there twice stays so
	// global is one of the names below: nothing is ever looked up or called by it.
	global string
)

// The functions that rebuild plain tensors (torch/_utils.py); with collections.OrderedDict and the storage classes they
// are all that a pickle may name.
const (
	orderedDict   global = "collections.OrderedDict"
	rebuildTensor global = "torch._utils._rebuild_tensor_v2"
	rebuildParam  global = "torch._utils._rebuild_parameter"
)

const (
	maxPickle = 16 << 20 // bytes; that of R152x4, with 459 tensors, has 60 kB
	maxOps    = 1 << 18  // so that objects take tens of megabytes at most
)

// unpickler runs the few opcodes (Lib/pickletools.py) that dictionaries of tensors need. Every other one is an error, and
// so is every name but those above: reading a file executes nothing.
type unpickler struct {
	data    []byte
	at      int // of the next byte
	stack   []any
	marks   []int // heights of the stack
	memo    map[uint32]any
	storage func(class global, key string, elements int64) (*storage, error)
}

var errShort = errors.New("the pickle is cut short")

// run returns the value that the pickle stands for.
func (u *unpickler) run() (any, error) {
	u.memo = map[uint32]any{}
	for range maxOps {
		at := u.at
		op, err := u.take(1)
		if err != nil {
			return nil, err
		}
		if op[0] == '.' {
			v, err := u.pop()
			if err == nil && (len(u.stack) > 0 || u.at < len(u.data)) {
				err = errors.New("the pickle goes on after its value")
			}
			return v, err
		}
		if err := u.step(op[0]); err != nil {
			return nil, fmt.Errorf("pickle opcode %q at byte %d: %w", op[0], at, err)
		}
	}
	return nil, fmt.Errorf("pickle of more than %d opcodes", maxOps)
}

// step runs one opcode.
func (u *unpickler) step(op byte) error {
	switch op {
	case 0x80: // PROTO
		version, err := u.number(1)
		if err == nil && (version < 2 || version > 5) {
			err = fmt.Errorf("protocol %d, want 2 to 5", version)
		}
		return err
	case 0x95: // FRAME: its length
		_, err := u.take(8)
		return err
	case '(': // MARK
		u.marks = append(u.marks, len(u.stack))
		return nil
	case 'N': // NONE
		return u.push(nil, nil)
	case 0x88: // NEWTRUE
		return u.push(true, nil)
	case 0x89: // NEWFALSE
		return u.push(false, nil)
	case 'K': // BININT1
		return u.push(u.number(1))
	case 'M': // BININT2
		return u.push(u.number(2))
	case 'J': // BININT: signed
		v, err := u.number(4)
		return u.push(int64(int32(v)), err)
	case 0x8a: // LONG1: two's complement
		return u.push(u.long())
	case 'G': // BINFLOAT: big-endian
		raw, err := u.take(8)
		if err != nil {
			return err
		}
		return u.push(math.Float64frombits(binary.BigEndian.Uint64(raw)), nil)
	case 0x8c: // SHORT_BINUNICODE
		return u.push(u.text(1))
	case 'X': // BINUNICODE
		return u.push(u.text(4))
	case 'q': // BINPUT
		return u.put(u.number(1))
	case 'r': // LONG_BINPUT
		return u.put(u.number(4))
	case 0x94: // MEMOIZE
		return u.put(int64(len(u.memo)), nil)
	case 'h': // BINGET
		return u.get(u.number(1))
	case 'j': // LONG_BINGET
		return u.get(u.number(4))
	case ')': // EMPTY_TUPLE
		return u.push(tuple{}, nil)
	case 0x85, 0x86, 0x87: // TUPLE1, 2, 3
		n := int(op-0x85) + 1
		if u.floor() > len(u.stack)-n {
			return errEmpty
		}
		items := append(tuple{}, u.stack[len(u.stack)-n:]...)
		u.stack = u.stack[:len(u.stack)-n]
		return u.push(items, nil)
	case 't': // TUPLE
		items, err := u.popMark()
		return u.push(tuple(items), err)
	case ']': // EMPTY_LIST
		return u.push(&list{}, nil)
	case 'a': // APPEND
		v, err := u.pop()
		return u.extend([]any{v}, err)
	case 'e': // APPENDS
		return u.extend(u.popMark())
	case '}': // EMPTY_DICT
		return u.push(&dict{}, nil)
	case 's': // SETITEM
		v, err := u.pop()
		if err != nil {
			return err
		}
		k, err := u.pop()
		return u.set([]any{k, v}, err)
	case 'u': // SETITEMS
		return u.set(u.popMark())
	case 'c': // GLOBAL
		module, err := u.line()
		if err != nil {
			return err
		}
		name, err := u.line()
		return u.name(module, name, err)
	case 0x93: // STACK_GLOBAL
		name, err := pop[string](u)
		if err != nil {
			return err
		}
		module, err := pop[string](u)
		return u.name(module, name, err)
	case 'Q': // BINPERSID
		id, err := pop[tuple](u)
		if err != nil {
			return err
		}
		return u.push(u.persistent(id))
	case 'R': // REDUCE
		args, err := pop[tuple](u)
		if err != nil {
			return err
		}
		f, err := pop[global](u)
		if err != nil {
			return err
		}
		return u.push(call(f, args))
	case 'b': // BUILD: attributes, such as _metadata of a state dict, which no tensor depends on
		if _, err := pop[*dict](u); err != nil {
			return err
		}
		object, err := pop[*dict](u)
		return u.push(object, err)
	default:
		return errors.New("refused: plain tensors do not need it")
	}
}

// persistent returns the storage that an id such as ('storage', torch.FloatStorage, '0', 'cpu', 18) stands for.
func (u *unpickler) persistent(id tuple) (any, error) {
	if len(id) != 5 || id[0] != "storage" {
		return nil, fmt.Errorf("persistent id of %d parts, want 5 that begin with \"storage\"", len(id))
	}
	class, ok1 := id[1].(global)
	key, ok2 := id[2].(string)
	_, ok3 := id[3].(string) // the device, which does not matter
	n, ok4 := id[4].(int64)
	if !ok1 || !ok2 || !ok3 || !ok4 {
		return nil, errors.New("persistent id, want a class, a key, a device and a number of elements")
	}
	return u.storage(class, key, n)
}

// call does what one of the three functions would do.
func call(f global, args tuple) (any, error) {
	switch f {
	case orderedDict:
		if len(args) == 0 {
			return &dict{}, nil
		}
	case rebuildTensor: // storage, offset, size, stride, requires_grad, backward_hooks, metadata
		if len(args) == 6 || len(args) == 7 {
			s, ok1 := args[0].(*storage)
			offset, ok2 := args[1].(int64)
			shape, ok3 := ints(args[2])
			strides, ok4 := ints(args[3])
			if ok1 && ok2 && ok3 && ok4 {
				return &view{s, offset, shape, strides}, nil
			}
		}
	case rebuildParam: // tensor, requires_grad, backward_hooks
		if len(args) == 3 {
			if v, ok := args[0].(*view); ok {
				return v, nil
			}
		}
	}
	return nil, fmt.Errorf("%s with arguments (%s)", f, kinds(args))
}

// kinds names the types of values, without what is in them: they may hold themselves.
func kinds(values []any) string {
	names := make([]string, len(values))
	for i, v := range values {
		names[i] = strings.TrimPrefix(strings.TrimPrefix(fmt.Sprintf("%T", v), "*"), "torchfile.")
	}
	return strings.Join(names, ", ")
}

// ints returns the sizes or strides of a tensor, which has at most 64 axes (c10/core/TensorImpl.h).
func ints(v any) ([]int, bool) {
	items, ok := v.(tuple)
	if len(items) > 64 {
		return nil, false
	}
	xs := make([]int, len(items))
	for i, item := range items {
		x, isInt := item.(int64)
		ok = ok && isInt && int64(int(x)) == x
		xs[i] = int(x)
	}
	return xs, ok
}

// name pushes a global that is allowed.
func (u *unpickler) name(module, name string, err error) error {
	if err != nil {
		return err
	}
	g := global(module + "." + name)
	_, isStorage := storageClasses[g]
	if g != orderedDict && g != rebuildTensor && g != rebuildParam && !isStorage {
		return fmt.Errorf("%q is refused: a file of plain tensors names %s, %s and storages", g, orderedDict, rebuildTensor)
	}
	return u.push(g, nil)
}

// extend appends to the list at the top.
func (u *unpickler) extend(items []any, err error) error {
	if err != nil {
		return err
	}
	l, err := pop[*list](u)
	if err != nil {
		return err
	}
	l.items = append(l.items, items...)
	return u.push(l, nil)
}

// set adds keys and values, in turns, to the dictionary at the top.
func (u *unpickler) set(items []any, err error) error {
	if err != nil {
		return err
	}
	if len(items)%2 != 0 {
		return errors.New("a key without value")
	}
	d, err := pop[*dict](u)
	if err != nil {
		return err
	}
	for i := 0; i < len(items); i += 2 {
		d.keys, d.values = append(d.keys, items[i]), append(d.values, items[i+1])
	}
	return u.push(d, nil)
}

var errEmpty = errors.New("the stack has too few values")

// floor is the height of the stack below which the last mark hides it.
func (u *unpickler) floor() int {
	if len(u.marks) == 0 {
		return 0
	}
	return u.marks[len(u.marks)-1]
}

func (u *unpickler) push(v any, err error) error {
	if err == nil {
		u.stack = append(u.stack, v)
	}
	return err
}

func (u *unpickler) pop() (any, error) {
	if len(u.stack) <= u.floor() {
		return nil, errEmpty
	}
	v := u.stack[len(u.stack)-1]
	u.stack = u.stack[:len(u.stack)-1]
	return v, nil
}

// pop takes a value of one type.
func pop[T any](u *unpickler) (T, error) {
	v, err := u.pop()
	if err != nil {
		return *new(T), err
	}
	x, ok := v.(T)
	if !ok {
		return x, fmt.Errorf("a value of type %s, want %s", kinds([]any{v}), kinds([]any{x}))
	}
	return x, nil
}

// popMark takes what is above the last mark, and the mark.
func (u *unpickler) popMark() ([]any, error) {
	if len(u.marks) == 0 {
		return nil, errors.New("no mark on the stack")
	}
	from := u.floor()
	items := append([]any(nil), u.stack[from:]...)
	u.stack, u.marks = u.stack[:from], u.marks[:len(u.marks)-1]
	return items, nil
}

func (u *unpickler) put(index int64, err error) error {
	switch {
	case err != nil:
		return err
	case len(u.stack) <= u.floor():
		return errEmpty
	}
	u.memo[uint32(index)] = u.stack[len(u.stack)-1]
	return nil
}

func (u *unpickler) get(index int64, err error) error {
	if err != nil {
		return err
	}
	v, ok := u.memo[uint32(index)]
	if !ok {
		return fmt.Errorf("nothing has been kept as %d", index)
	}
	return u.push(v, nil)
}

// take returns the next n bytes.
func (u *unpickler) take(n int) ([]byte, error) {
	if n > len(u.data)-u.at {
		return nil, errShort
	}
	u.at += n
	return u.data[u.at-n : u.at], nil
}

// number reads an unsigned little-endian number of 1, 2 or 4 bytes.
func (u *unpickler) number(size int) (int64, error) {
	raw, err := u.take(size)
	if err != nil {
		return 0, err
	}
	var wide [8]byte
	copy(wide[:], raw)
	return int64(binary.LittleEndian.Uint64(wide[:])), nil
}

func (u *unpickler) long() (int64, error) {
	n, err := u.number(1)
	if err != nil {
		return 0, err
	}
	raw, err := u.take(int(n))
	if err != nil || n == 0 {
		return 0, err
	}
	if n > 8 {
		return 0, fmt.Errorf("a number of %d bytes, want at most 8", n)
	}
	wide := bytes.Repeat([]byte{byte(int8(raw[n-1]) >> 7)}, 8) // the sign
	copy(wide, raw)
	return int64(binary.LittleEndian.Uint64(wide)), nil
}

func (u *unpickler) text(size int) (string, error) {
	n, err := u.number(size)
	if err != nil {
		return "", err
	}
	if n > int64(len(u.data)) {
		return "", errShort
	}
	raw, err := u.take(int(n))
	if err == nil && !utf8.Valid(raw) {
		err = errors.New("text that is not UTF-8")
	}
	return string(raw), err
}

// line reads the module or the name of a GLOBAL.
func (u *unpickler) line() (string, error) {
	const longest = 256
	rest := u.data[u.at:]
	n := bytes.IndexByte(rest[:min(len(rest), longest)], '\n')
	if n < 0 {
		return "", fmt.Errorf("a name without end in %d bytes", min(len(rest), longest))
	}
	u.at += n + 1
	return string(rest[:n]), nil
}
