#include "broker/runtime/netlink.hpp"

#include <arpa/inet.h>
#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <vector>

namespace berth::runtime {

// One netlink message that grows: header, then attributes, some nested.
class Rtnetlink::Request {
 public:
  template <class Body>
  Request(std::uint16_t type, unsigned flags, const Body& body) {
    nlmsghdr header{};
    header.nlmsg_type = type;
    header.nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | NLM_F_ACK | flags);
    append(&header, sizeof header);
    append(&body, sizeof body);
  }

  void attribute(unsigned short type, const void* data, std::size_t size) {
    rtattr header{};
    header.rta_type = type;
    header.rta_len = static_cast<unsigned short>(RTA_LENGTH(size));
    append(&header, sizeof header);
    append(data, size);
  }
  void attribute(unsigned short type, const std::string& text) { attribute(type, text.c_str(), text.size() + 1); }
  void attribute(unsigned short type, std::uint32_t value) { attribute(type, &value, sizeof value); }

  // Attributes added by `fill` lie inside one of this type.
  template <class Fill>
  void nested(unsigned short type, Fill fill) {
    const std::size_t start = bytes_.size();
    rtattr header{};
    header.rta_type = type;
    append(&header, sizeof header);
    fill();
    header.rta_len = static_cast<unsigned short>(bytes_.size() - start);
    std::memcpy(bytes_.data() + start, &header, sizeof header);
  }

  void append(const void* data, std::size_t size) {
    if (size == 0) return;
    const std::size_t start = bytes_.size();
    bytes_.resize(start + NLMSG_ALIGN(size));
    std::memcpy(bytes_.data() + start, data, size);
  }

  const std::vector<char>& finish(std::uint32_t sequence) {
    nlmsghdr header{};
    std::memcpy(&header, bytes_.data(), sizeof header);
    header.nlmsg_len = static_cast<std::uint32_t>(bytes_.size());
    header.nlmsg_seq = sequence;
    std::memcpy(bytes_.data(), &header, sizeof header);
    return bytes_;
  }

 private:
  std::vector<char> bytes_;
};

namespace {

Result<in_addr> parse_address(const std::string& text) {
  in_addr address{};
  if (::inet_pton(AF_INET, text.c_str(), &address) != 1) return fail(Code::invalid_argument, "`{}` is not an IPv4 address", text);
  return address;
}

Result<std::array<unsigned char, 6>> parse_mac(const std::string& text) {
  std::array<unsigned, 6> parts{};
  std::array<unsigned char, 6> mac{};
  if (std::sscanf(text.c_str(), "%2x:%2x:%2x:%2x:%2x:%2x", &parts[0], &parts[1], &parts[2], &parts[3], &parts[4], &parts[5]) != 6)
    return fail(Code::invalid_argument, "`{}` is not a MAC address", text);
  for (std::size_t i = 0; i < 6; ++i) mac[i] = static_cast<unsigned char>(parts[i]);
  return mac;
}

// SIOCGIFINDEX would do, but needs a second kind of socket: if_nametoindex opens one in this thread's namespace.
Result<unsigned> index_of(const std::string& device) {
  const unsigned index = ::if_nametoindex(device.c_str());
  if (index == 0) return fail_errno(errno, "network device `" + device + "`");
  return index;
}

rtmsg route_message(unsigned char prefix_length, unsigned char scope) {
  rtmsg message{};
  message.rtm_family = AF_INET;
  message.rtm_dst_len = prefix_length;
  message.rtm_table = RT_TABLE_MAIN;
  message.rtm_protocol = RTPROT_STATIC;
  message.rtm_scope = scope;
  message.rtm_type = RTN_UNICAST;
  return message;
}

}  // namespace

Result<Rtnetlink> Rtnetlink::open() {
  UniqueFd fd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  if (!fd) return fail_errno(errno, "netlink socket");
  return Rtnetlink(std::move(fd));
}

Result<> Rtnetlink::send(Request& request, const std::string& what) {
  const std::vector<char>& bytes = request.finish(++sequence_);
  if (::send(fd_.get(), bytes.data(), bytes.size(), 0) < 0) return fail_errno(errno, what);
  alignas(nlmsghdr) char answer[8192];
  ssize_t n;
  do n = ::recv(fd_.get(), answer, sizeof answer, 0);
  while (n < 0 && errno == EINTR);
  if (n < 0) return fail_errno(errno, what);
  struct Acknowledgement {
    nlmsghdr header;
    nlmsgerr error;
  } acknowledgement{};
  if (static_cast<std::size_t>(n) < sizeof acknowledgement) return fail(Code::internal, "{}: short answer of rtnetlink", what);
  std::memcpy(&acknowledgement, answer, sizeof acknowledgement);
  if (acknowledgement.header.nlmsg_type != NLMSG_ERROR) return fail(Code::internal, "{}: unexpected answer of rtnetlink", what);
  if (acknowledgement.error.error != 0) return fail_errno(-acknowledgement.error.error, what);
  return {};
}

Result<> Rtnetlink::set_up(const std::string& device) {
  auto index = index_of(device);
  if (!index) return fail(index.error());
  ifinfomsg message{};
  message.ifi_index = static_cast<int>(*index);
  message.ifi_flags = IFF_UP;
  message.ifi_change = IFF_UP;
  Request request(RTM_NEWLINK, 0, message);
  return send(request, "set `" + device + "` up");
}

Result<> Rtnetlink::add_address(const std::string& device, const std::string& address, unsigned prefix_length) {
  auto index = index_of(device);
  auto parsed = parse_address(address);
  if (!index) return fail(index.error());
  if (!parsed) return fail(parsed.error());
  ifaddrmsg message{};
  message.ifa_family = AF_INET;
  message.ifa_prefixlen = static_cast<unsigned char>(prefix_length);
  message.ifa_index = *index;
  Request request(RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, message);
  request.attribute(IFA_LOCAL, &*parsed, sizeof *parsed);
  request.attribute(IFA_ADDRESS, &*parsed, sizeof *parsed);
  return send(request, "add address " + address + " to `" + device + "`");
}

Result<> Rtnetlink::add_default_route(const std::string& device, const std::string& gateway) {
  auto index = index_of(device);
  auto parsed = parse_address(gateway);
  if (!index) return fail(index.error());
  if (!parsed) return fail(parsed.error());
  rtmsg message = route_message(0, RT_SCOPE_UNIVERSE);
  message.rtm_flags = RTNH_F_ONLINK;
  Request request(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, message);
  request.attribute(RTA_GATEWAY, &*parsed, sizeof *parsed);
  request.attribute(RTA_OIF, std::uint32_t{*index});
  return send(request, "add default route by " + gateway);
}

Result<> Rtnetlink::set_host_route(const std::string& device, const std::string& address) {
  auto index = index_of(device);
  auto parsed = parse_address(address);
  if (!index) return fail(index.error());
  if (!parsed) return fail(parsed.error());
  Request request(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, route_message(32, RT_SCOPE_LINK));
  request.attribute(RTA_DST, &*parsed, sizeof *parsed);
  request.attribute(RTA_OIF, std::uint32_t{*index});
  return send(request, "add route to " + address);
}

Result<> Rtnetlink::remove_host_route(const std::string& address) {
  auto parsed = parse_address(address);
  if (!parsed) return fail(parsed.error());
  Request request(RTM_DELROUTE, 0, route_message(32, RT_SCOPE_LINK));
  request.attribute(RTA_DST, &*parsed, sizeof *parsed);
  return send(request, "remove route to " + address);
}

Result<> Rtnetlink::add_veth(const std::string& device, const std::string& mac, const std::string& peer, int peer_namespace) {
  auto address = parse_mac(mac);
  if (!address) return fail(address.error());
  Request request(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, ifinfomsg{});
  request.attribute(IFLA_IFNAME, device);
  request.attribute(IFLA_ADDRESS, address->data(), address->size());
  request.nested(IFLA_LINKINFO, [&] {
    request.attribute(IFLA_INFO_KIND, std::string("veth"));
    request.nested(IFLA_INFO_DATA, [&] {
      request.nested(VETH_INFO_PEER, [&] {
        const ifinfomsg peer_message{};
        request.append(&peer_message, sizeof peer_message);
        request.attribute(IFLA_IFNAME, peer);
        request.attribute(IFLA_NET_NS_FD, static_cast<std::uint32_t>(peer_namespace));
      });
    });
  });
  return send(request, "make the pair of network devices `" + device + "` and `" + peer + "`");
}

}  // namespace berth::runtime
