// Images: directories and OCI layouts.
#include <gmock/gmock.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/runtime/files.hpp"
#include "broker/runtime/process.hpp"
#include "tests/kernel_runtime/runtime_fixture.hpp"

namespace berth::runtime::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class ImageTest : public RuntimeTest {
 protected:
  void SetUp() override {
    RuntimeTest::SetUp();
    if (IsSkipped()) return;
    char directory[] = "/tmp/berth-images-XXXXXX";
    ASSERT_NE(::mkdtemp(directory), nullptr);
    images_ = directory;
    if (::access("/usr/bin/busybox", X_OK) != 0) GTEST_SKIP() << "needs busybox";
  }
  void TearDown() override {
    RuntimeTest::TearDown();
    if (!images_.empty()) {
      EXPECT_TRUE(remove_tree(images_));
    }
  }
  // A root file system of busybox alone.
  std::string busybox_root() {
    const std::string root = images_ + "/root";
    for (const char* directory : {"/bin", "/etc", "/tmp"}) EXPECT_TRUE(make_directories(root + directory));
    EXPECT_TRUE(run_checked({.arguments = {"cp", "-L", "/usr/bin/busybox", root + "/bin/busybox"}}));
    for (const char* name : {"sh", "ls", "cat", "id", "echo", "touch"})
      EXPECT_EQ(::symlink("busybox", (root + "/bin/" + name).c_str()), 0);
    EXPECT_TRUE(write_file(root + "/etc/passwd", "root:x:0:0::/root:/bin/sh\napp:x:77:88::/srv:/bin/sh\n"));
    EXPECT_TRUE(write_file(root + "/old", "old"));
    return root;
  }
  // Stores a file as a blob; its digest.
  std::string blob(const std::string& path) {
    const std::string hex = run_checked({.arguments = {"sha256sum", path}}).value().substr(0, 64);
    EXPECT_TRUE(make_directories(layout() + "/blobs/sha256"));
    EXPECT_TRUE(run_checked({.arguments = {"cp", path, layout() + "/blobs/sha256/" + hex}}));
    return "sha256:" + hex;
  }
  std::string document(const std::string& text) {
    EXPECT_TRUE(write_file(images_ + "/document", text));
    return blob(images_ + "/document");
  }
  std::string tar(const std::string& directory) {
    EXPECT_TRUE(run_checked(
        {.arguments = {"tar", "--create", "--gzip", "--file", images_ + "/layer.tar.gz", "--directory", directory, "."}}));
    return blob(images_ + "/layer.tar.gz");
  }
  void write_layout(const std::vector<std::string>& layers, const std::string& config) {
    std::string list;
    for (const std::string& digest : layers)
      list += (list.empty() ? "" : ",") +
              std::string(R"({"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","size":1,"digest":")") + digest + "\"}";
    const std::string manifest =
        document(R"({"schemaVersion":2,"config":{"digest":")" + document(config) + R"("},"layers":[)" + list + "]}");
    EXPECT_TRUE(write_file(layout() + "/oci-layout", R"({"imageLayoutVersion":"1.0.0"})"));
    EXPECT_TRUE(write_file(layout() + "/index.json", R"({"schemaVersion":2,"manifests":[{"digest":")" + manifest +
                                                         R"(","annotations":{"org.opencontainers.image.ref.name":"1.0"}}]})"));
  }
  std::string layout() const { return images_ + "/layout"; }
  std::string images_;
  TaskLaunch task_from(const std::string& id, const std::string& image, const std::string& script) {
    TaskLaunch launch = shell_task(id, script);
    launch.containers[0].image = image;
    return launch;
  }
};

TEST_F(ImageTest, ADirectoryIsARootFileSystemThatIsNotChanged) {
  const std::string root = busybox_root();
  EXPECT_EQ(run(task_from("directory", root, "cat /old; echo; touch /new; ls /")),
            "stdout old\nstdout bin\nstdout dev\nstdout etc\nstdout new\nstdout old\nstdout proc\nstdout sys\nstdout tmp\n");
  EXPECT_NE(::access((root + "/new").c_str(), F_OK), 0);
}

TEST_F(ImageTest, AnOciLayoutIsUnpackedWithItsWhiteoutsAndItsConfiguration) {
  const std::string root = busybox_root(), second = images_ + "/second";
  ASSERT_TRUE(make_directories(second));
  ASSERT_TRUE(write_file(second + "/.wh.old", ""));
  ASSERT_TRUE(write_file(second + "/fresh", "fresh"));
  write_layout(
      {tar(root), tar(second)},
      R"({"config":{"Env":["COLOR=blue"],"Entrypoint":["/bin/sh","-c"],"Cmd":["echo $COLOR; id -u; pwd; ls /; cat /fresh"],)"
      R"("User":"app","WorkingDir":"/tmp"}})");
  TaskLaunch launch = task_from("layout", layout() + ":1.0", "");
  launch.containers[0].command.clear();
  EXPECT_THAT(run(launch),
              AllOf(HasSubstr("stdout blue\nstdout 77\nstdout /tmp\n"), HasSubstr("stdout fresh"), Not(HasSubstr("stdout old"))));
  launch = task_from("again", layout(), "exit 0");  // from the cache; the only image needs no tag
  run(launch);
}

TEST_F(ImageTest, ALayerThatLeadsOutOfItsRootWritesNothingOutside) {
  const std::string root = busybox_root();
  const std::string evil = images_ + "/evil.tar", target = images_ + "/escaped";
  // A link to the outside and a file through it, in one archive and over two layers; and a name with `..`.
  ASSERT_TRUE(run_checked({.arguments = {"python3", "-c",
                                         "import tarfile,io,sys\n"
                                         "def layer(path, *members):\n"
                                         " with tarfile.open(path,'w:gz') as t:\n"
                                         "  for name,link in members:\n"
                                         "   i=tarfile.TarInfo(name)\n"
                                         "   if link: i.type=tarfile.SYMTYPE; i.linkname=link; t.addfile(i)\n"
                                         "   else: i.size=4; t.addfile(i, io.BytesIO(b'evil'))\n"
                                         "layer(sys.argv[1]+'1', ('out', sys.argv[2]), ('out/escaped', None))\n"
                                         "layer(sys.argv[1]+'2', ('link', sys.argv[2]))\n"
                                         "layer(sys.argv[1]+'3', ('link/escaped', None))\n",
                                         evil, images_}}));
  write_layout({tar(root), blob(evil + "2"), blob(evil + "3")}, R"({"config":{}})");
  run(task_from("two-layers", layout(), "exit 0"));
  EXPECT_NE(::access(target.c_str(), F_OK), 0);
  write_layout({tar(root), blob(evil + "1")}, R"({"config":{}})");
  runtime_->launch(task_from("one-layer", layout(), "exit 0"));
  reports_.wait_for(TaskId("one-layer"), "");
  EXPECT_NE(::access(target.c_str(), F_OK), 0);
}

TEST_F(ImageTest, ADirectoryThatHoldsSecretsIsNoImage) {
  for (const std::string& image : {std::string("/"), std::string("/root"), std::string("/proc"), std::string("/tmp"),
                                   std::string("/etc/ssl"), std::string("/var/log"), state_, state_ + "/runtime"}) {
    const TaskLaunch launch = task_from("secret" + std::to_string(std::hash<std::string>{}(image) % 100'000), image, "exit 0");
    runtime_->launch(launch);
    EXPECT_THAT(reports_.wait_for(launch.id, "failed"), HasSubstr("is no image")) << image;
  }
}

TEST_F(ImageTest, ADamagedBlobIsRefused) {
  write_layout({tar(busybox_root())}, R"({"config":{}})");
  const std::string index = read_file(layout() + "/index.json").value();
  const std::string hex = index.substr(index.find("sha256:") + 7, 64);
  ASSERT_TRUE(write_file(layout() + "/blobs/sha256/" + hex, "{}"));
  runtime_->launch(task_from("damaged", layout(), "exit 0"));
  EXPECT_THAT(reports_.wait_for(TaskId("damaged"), "failed"), AllOf(HasSubstr("CannotPullContainerError"), HasSubstr("damaged")));
}

}  // namespace
}  // namespace berth::runtime::testing
