// Writes XML: elements, text, nothing else.
#pragma once

#include <string>
#include <string_view>

namespace berth::protocol {

class XmlWriter {
 public:
  XmlWriter& open(std::string_view name, std::string_view xml_namespace = {});
  XmlWriter& close(std::string_view name);
  // <name>text</name>, the text escaped; characters that XML can't hold become U+FFFD.
  XmlWriter& element(std::string_view name, std::string_view text);
  std::string take() { return std::move(out_); }

 private:
  std::string out_ = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";
};

std::string xml_escape(std::string_view text);

}  // namespace berth::protocol
