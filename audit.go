package bit

import (
	"context"

	"github.com/bigtransfer/bit/audit"
	"github.com/bigtransfer/bit/data"
)

// AuditOptions say how Audit works. The zero value is a sound choice.
type AuditOptions struct {
	audit.Options
	Embed EmbedOptions
}

// Audit looks for what is wrong with a data set, in all its splits: wrong labels, pictures that are there twice, and
// broken, dark, over-exposed, blurred and odd-sized ones. It changes nothing. The model tells by its features what
// pictures look like; which classes it knows does not matter.
func (m *Classifier) Audit(ctx context.Context, ds *data.Dataset, o AuditOptions) (*audit.Report, error) {
	src := data.Uncounted(ds) // that much is broken is what an audit is to say, not to fail by
	return audit.Run(ctx, ds, func(ctx context.Context, examples []data.Example) (audit.Features, error) {
		e, _, err := m.Embed(ctx, src, examples, o.Embed)
		if err != nil {
			return audit.Features{}, err
		}
		return audit.Features{Width: e.Width, Values: e.Features, Index: e.Index}, nil
	}, o.Options)
}
