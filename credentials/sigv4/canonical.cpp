#include "credentials/sigv4/canonical.hpp"

#include <algorithm>

#include "broker/base/encoding.hpp"
#include "credentials/policy/pattern.hpp"

namespace berth::credentials {

namespace {

std::string without_dot_segments(std::string_view path) {
  std::vector<std::string> kept;
  for (auto& segment : split(path, '/')) {
    if (segment.empty() || segment == ".") continue;
    if (segment != "..")
      kept.push_back(std::move(segment));
    else if (!kept.empty())
      kept.pop_back();
  }
  std::string normal = "/" + join(kept, '/');
  if (path.ends_with('/') && !kept.empty()) normal += '/';
  return normal;
}

// Trimmed, with runs of spaces as one.
std::string canonical_value(std::string_view value) {
  std::string canonical;
  for (const char c : value) {
    const bool space = c == ' ' || c == '\t' || c == '\n' || c == '\r';
    if (!space)
      canonical += c;
    else if (!canonical.empty() && canonical.back() != ' ')
      canonical += ' ';
  }
  if (canonical.ends_with(' ')) canonical.pop_back();
  return canonical;
}

std::string canonical_header(const SignedRequest& request, std::string_view name) {
  std::string values;
  bool first = true;
  for (const auto& [key, value] : request.headers) {
    if (!equal_ignoring_case(key, name)) continue;
    if (!std::exchange(first, false)) values += ',';
    values += canonical_value(value);
  }
  return values;
}

std::string decoded(std::string_view text) { return percent_decode(text).value_or(std::string(text)); }

}  // namespace

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> words;
  for (;;) {
    const auto end = text.find(separator);
    words.emplace_back(text.substr(0, end));
    if (end == std::string_view::npos) return words;
    text.remove_prefix(end + 1);
  }
}

std::string join(const std::vector<std::string>& words, char separator) {
  std::string joined;
  for (const auto& word : words) {
    if (&word != &words.front()) joined += separator;
    joined += word;
  }
  return joined;
}

std::vector<std::pair<std::string, std::string>> split_query(std::string_view query) {
  std::vector<std::pair<std::string, std::string>> parameters;
  if (query.empty()) return parameters;
  for (const std::string& parameter : split(query, '&')) {
    if (parameter.empty()) continue;
    const auto equals = parameter.find('=');
    const auto value = equals == std::string::npos ? std::string() : parameter.substr(equals + 1);
    parameters.emplace_back(decoded(parameter.substr(0, equals)), decoded(value));
  }
  return parameters;
}

const std::string* find_header(std::span<const std::pair<std::string, std::string>> headers, std::string_view name) {
  const auto found =
      std::ranges::find_if(headers, [name](const auto& header) { return equal_ignoring_case(header.first, name); });
  return found == headers.end() ? nullptr : &found->second;
}

std::string canonical_path(std::string_view path, bool s3) {
  if (path.empty()) return "/";
  if (s3) return percent_encode(decoded(path), true);
  return percent_encode(without_dot_segments(path), true);
}

std::string canonical_query(std::string_view query) {
  auto parameters = split_query(query);
  std::erase_if(parameters, [](const auto& parameter) { return parameter.first == "X-Amz-Signature"; });
  for (auto& [name, value] : parameters) {
    name = percent_encode(name);
    value = percent_encode(value);
  }
  std::ranges::sort(parameters);
  std::string canonical;
  for (const auto& [name, value] : parameters) {
    if (!canonical.empty()) canonical += '&';
    canonical.append(name).append("=").append(value);
  }
  return canonical;
}

std::string canonical_request(const SignedRequest& request, const std::vector<std::string>& signed_headers,
                              std::string_view payload_hash, bool s3) {
  std::string canonical(request.method);
  canonical += '\n' + canonical_path(request.path, s3) + '\n' + canonical_query(request.query) + '\n';
  for (const auto& name : signed_headers) canonical += name + ':' + canonical_header(request, name) + '\n';
  canonical += '\n' + join(signed_headers, ';') + '\n';
  return canonical.append(payload_hash);
}

std::string string_to_sign(std::string_view amz_date, std::string_view scope, std::string_view canonical) {
  std::string text(kAlgorithm);
  text.append("\n").append(amz_date).append("\n").append(scope).append("\n");
  return text + sha256_hex(canonical);
}

Digest signing_key(const Secret& secret, std::string_view date, std::string_view region, std::string_view service) {
  const Secret start("AWS4" + std::string(secret.reveal()));
  Digest key = hmac_sha256(start.reveal(), date);
  for (const auto part : {region, service, kTerminator}) key = hmac_sha256(view(key), part);
  return key;
}

std::string signature(const Digest& key, std::string_view to_sign) { return hex_encode(view(hmac_sha256(view(key), to_sign))); }

std::string payload_sha256(const SignedRequest& request) {
  return request.body_sha256 ? *request.body_sha256 : sha256_hex(request.body);
}

}  // namespace berth::credentials
