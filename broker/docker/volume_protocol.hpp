// The volume plugin protocol, version 1, as Docker and Podman speak it: POST requests with a JSON object, on a Unix socket.
// https://docs.docker.com/engine/extend/plugins_volume/
//
// A failure is {"Err": why} with status 500: Docker reads the text whatever the status, Podman takes 200 for success.
// Never 404 for a volume: Docker takes that for a plugin that can't look volumes up, and makes one.
#pragma once

#include "broker/docker/volume_driver.hpp"
#include "broker/http/message.hpp"

namespace berth::docker {

http::Response handle_volume_request(VolumeDriver& driver, const http::Request& request);

}  // namespace berth::docker
