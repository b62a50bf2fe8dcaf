#include "broker/protocol/xml.hpp"

namespace berth::protocol {

std::string xml_escape(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    switch (c) {
      case '&': out += "&amp;"; break;
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '"': out += "&quot;"; break;
      // A parser would turn a bare one into a line feed.
      case '\r': out += "&#xD;"; break;
      case '\n':
      case '\t': out += c; break;
      default:
        if (static_cast<unsigned char>(c) < 0x20) {
          out += "\xEF\xBF\xBD";
        } else {
          out += c;
        }
    }
  }
  return out;
}

XmlWriter& XmlWriter::open(std::string_view name, std::string_view xml_namespace) {
  out_.append("<").append(name);
  if (!xml_namespace.empty()) out_.append(" xmlns=\"").append(xml_namespace).append("\"");
  out_ += '>';
  return *this;
}

XmlWriter& XmlWriter::close(std::string_view name) {
  out_.append("</").append(name).append(">");
  return *this;
}

XmlWriter& XmlWriter::element(std::string_view name, std::string_view text) {
  open(name);
  out_ += xml_escape(text);
  return close(name);
}

}  // namespace berth::protocol
