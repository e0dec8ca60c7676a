package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/IBM/sarama"

	"interop/cases"
)

// Every way in which the client can be a member of a group.
var variants = map[string]func() sarama.BalanceStrategy{
	"range":              sarama.NewBalanceStrategyRange,
	"roundrobin":         sarama.NewBalanceStrategyRoundRobin,
	"sticky":             sarama.NewBalanceStrategySticky,
	"cooperative-sticky": sarama.NewBalanceStrategyCooperativeSticky,
}

// members is a member of group PREFIX-VARIANT for each variant, reading the topic of that name.
func members(bootstrap, prefix string, names []string) {
	cases.Members(names, func(m *cases.Member, stop <-chan struct{}) {
		name := prefix + "-" + m.Variant
		config := config()
		config.Consumer.Offsets.AutoCommit.Enable = false
		config.Consumer.Offsets.Initial = sarama.OffsetOldest
		config.Consumer.Group.Session.Timeout = 3 * time.Second
		config.Consumer.Group.Heartbeat.Interval = 300 * time.Millisecond
		config.Consumer.Group.Rebalance.Timeout = 6 * time.Second
		config.Consumer.Group.Rebalance.GroupStrategies =
			[]sarama.BalanceStrategy{variants[m.Variant]()}
		group, err := sarama.NewConsumerGroup([]string{bootstrap}, name, config)
		if err != nil {
			m.Fail(err)
			return
		}
		ctx, cancel := context.WithCancel(context.Background())
		go func() {
			<-stop
			cancel()
		}()
		// Ends with each rebalance, and after the broker was away.
		for ctx.Err() == nil {
			if err := group.Consume(ctx, []string{name}, &handler{m}); err != nil {
				fmt.Fprintln(os.Stderr, m.Variant, err)
				time.Sleep(50 * time.Millisecond)
			}
		}
		if err := group.Close(); err != nil && !errors.Is(err, context.Canceled) {
			fmt.Fprintln(os.Stderr, m.Variant, "close:", err)
		}
	})
}

type handler struct{ member *cases.Member }

func (h *handler) Setup(sarama.ConsumerGroupSession) error { return nil }

func (h *handler) Cleanup(sarama.ConsumerGroupSession) error { return nil }

func (h *handler) ConsumeClaim(
	session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim,
) error {
	// A session that goes on through a cooperative rebalance tells of its claims only so.
	own := []int32{claim.Partition()}
	h.member.Assign(own, nil)
	defer h.member.Assign(nil, own)
	for {
		select {
		case <-session.Context().Done():
			return nil
		case first, open := <-claim.Messages():
			if !open || session.Context().Err() != nil {
				return nil
			}
			last := first
			// Whatever is there already is one batch.
			for more := true; more; {
				select {
				case next, open := <-claim.Messages():
					if more = open; open {
						last = next
					}
				default:
					more = false
				}
			}
			h.member.Handled(claim.Partition(), first.Offset, last.Offset+1)
			session.MarkMessage(last, "")
			// It does not say what came of it.
			session.Commit()
		}
	}
}
