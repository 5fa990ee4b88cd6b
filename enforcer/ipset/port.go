package ipset

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
)

// NamedPort is looked up on the pod that serves it.
type NamedPort struct {
	Name     string
	Protocol corev1.Protocol
}

// PortRef is a port name, of any pod, or only of pods of this node.
type PortRef struct {
	NamedPort
	Local bool
}

// Port is the number of a port that a pod has under a name.
type Port struct {
	NamedPort
	Number int32
}

// isOf says whether a pod has this port.
func (port Port) isOf(p *Pod) bool { return slices.Contains(p.Ports, port) }

// namedPorts finds pods and sets by the names of ports: a policy may look up many, which few pods have.
type namedPorts struct {
	pods map[NamedPort]map[*Pod]bool
	sets map[NamedPort][]*set
}

func (n namedPorts) add(p *Pod) {
	for _, port := range p.Ports {
		if n.pods[port.NamedPort] == nil {
			n.pods[port.NamedPort] = map[*Pod]bool{}
		}
		n.pods[port.NamedPort][p] = true
	}
}

func (n namedPorts) remove(p *Pod) {
	for _, port := range p.Ports {
		if delete(n.pods[port.NamedPort], p); len(n.pods[port.NamedPort]) == 0 {
			delete(n.pods, port.NamedPort)
		}
	}
}

// attachPort has a set hold the addresses and numbers of the pods that name its port.
func (x *Index) attachPort(u *set) {
	name := u.port.NamedPort
	x.ports.sets[name] = append(x.ports.sets[name], u)
	for p := range x.ports.pods[name] {
		for _, port := range p.Ports {
			if port.NamedPort == name {
				u.addPort(x.listener, p, port.Number, x.owners.each(p, port.isOf))
			}
		}
	}
}

// detach removes a set again.
func (n namedPorts) detach(u *set) {
	name := u.port.NamedPort
	n.sets[name] = slices.DeleteFunc(n.sets[name], func(o *set) bool { return o == u })
	if len(n.sets[name]) == 0 {
		delete(n.sets, name)
	}
}

// addPort adds the port that a pod has under a name.
func (u *set) addPort(to Listener, p *Pod, number int32, addresses []Address) {
	if u.port.Local && !p.Local {
		return
	}
	for _, a := range addresses {
		if a.Family() == u.family {
			to.AddMember(u.name, Member{a, number, true})
		}
	}
}

// removePort removes a port, of any pod.
func (u *set) removePort(to Listener, number int32, addresses []Address) {
	for _, a := range addresses {
		if a.Family() == u.family {
			to.RemoveMember(u.name, Member{a, number, true})
		}
	}
}
