package cases

import (
	"bufio"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
)

// Member prints what one member of a group does, a line each, as ../../README.md says.
type Member struct {
	Variant string
	mutex   sync.Mutex
	owned   map[int32]bool
}

// NewMember is a member that owns nothing.
func NewMember(variant string) *Member {
	return &Member{Variant: variant, owned: map[int32]bool{}}
}

// Handled is to be called before the commit of these offsets.
func (m *Member) Handled(partition int32, from, next int64) {
	m.line("handled %d %d %d", partition, from, next)
}

// Committed is to be called when the broker has acknowledged the commit.
func (m *Member) Committed(partition int32, next int64) {
	m.line("committed %d %d", partition, next)
}

// Assign adds and removes partitions.
func (m *Member) Assign(added, removed []int32) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	for _, partition := range added {
		m.owned[partition] = true
	}
	for _, partition := range removed {
		delete(m.owned, partition)
	}
	var names []string
	for partition := range m.owned {
		names = append(names, fmt.Sprint(partition))
	}
	slices.Sort(names)
	m.print(fmt.Sprintf("assigned %s", strings.Join(names, ",")))
}

// Fail reports what ends the member.
func (m *Member) Fail(err error) {
	m.line("failed %s", strings.ReplaceAll(err.Error(), "\n", " "))
}

func (m *Member) line(format string, args ...any) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	m.print(fmt.Sprintf(format, args...))
}

func (m *Member) print(text string) {
	// One write a line, so that lines of different variants do not mix.
	fmt.Fprintf(os.Stdout, "%s %s\n", m.Variant, text)
}

// Members runs a member of each variant until a line comes on stdin; `run` has to leave its group
// when `stop` is closed, and to return then.
func Members(variants []string, run func(member *Member, stop <-chan struct{})) {
	stop := make(chan struct{})
	var group sync.WaitGroup
	for _, variant := range variants {
		group.Add(1)
		go func() {
			defer group.Done()
			run(NewMember(variant), stop)
		}()
	}
	_, _ = bufio.NewReader(os.Stdin).ReadString('\n')
	close(stop)
	group.Wait()
	fmt.Println("left")
}
