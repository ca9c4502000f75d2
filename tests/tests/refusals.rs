//! Flags and files that would end the process or hold it up are refused at the start, by name.

use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tensorgate_tests::PATIENCE;
use tensorgate_tests::server::tensorgate;

/// What a server with these flags ends with. One that waits for something is ended.
fn refusal(flags: &[&str]) -> String {
    let ports = [
        "--port=auto",
        "--rest_api_port=auto",
        "--model_base_path=/m",
    ];
    let mut command = tensorgate();
    command.arg("serve").args(ports).args(flags);
    command.stdout(Stdio::piped()).stderr(Stdio::null());
    let mut server = command.spawn().expect("it can be run");
    let started = Instant::now();
    while server.try_wait().expect("it is ours").is_none() {
        if started.elapsed() > PATIENCE {
            server.kill().expect("it can be ended");
        }
        thread::sleep(Duration::from_millis(5));
    }
    let output = server.wait_with_output().expect("it has ended");
    assert_eq!(output.status.code(), Some(255), "{flags:?}");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let start = "Failed to start server. Error: ";
    let (_, why) = said.split_once(start).expect("it says why");
    why.trim_end().to_owned()
}

#[test]
fn what_is_out_of_range_is_refused_before_tensorflow_sees_it() {
    let session = tempfile::NamedTempFile::new().expect("a file");
    let text = "session_inter_op_thread_pool { num_threads: -7 }";
    std::fs::write(session.path(), text).expect("it can be written");
    let session = format!(
        "--tensorflow_session_config_file={}",
        session.path().display()
    );
    for (flag, words) in [
        (
            "--tensorflow_session_parallelism=-1",
            "--tensorflow_session_parallelism is -1; expected a number of threads, from 0 to 4096",
        ),
        (
            "--tensorflow_intra_op_parallelism=-1",
            "--tensorflow_intra_op_parallelism is -1; expected",
        ),
        (
            "--tensorflow_inter_op_parallelism=100000",
            "--tensorflow_inter_op_parallelism is 100000; expected",
        ),
        (
            &session,
            "session_inter_op_thread_pool.num_threads is -7; expected",
        ),
        (
            "--per_process_gpu_memory_fraction=nan",
            "--per_process_gpu_memory_fraction is NaN, no part of a GPU's memory; expected",
        ),
        (
            "--log_filter=a=b=c",
            "the log filter 'a=b=c' cannot be used: ",
        ),
    ] {
        let why = refusal(&[flag]);
        let expected = format!("INVALID_ARGUMENT: {words}");
        assert!(why.starts_with(&expected), "{flag}: {why}");
    }
}

#[test]
fn what_is_no_regular_file_is_refused_and_not_waited_for() {
    let directory = tempfile::tempdir().expect("a directory");
    let pipe = directory.path().join("pipe");
    let made = Command::new("mkfifo").arg(&pipe).status();
    assert!(made.expect("mkfifo is there").success());
    let pipe = pipe.to_str().expect("it is UTF-8");
    for flag in [
        "--model_config_file",
        "--enable_batching --batching_parameters_file",
        "--monitoring_config_file",
        "--ssl_config_file",
        "--tensorflow_session_config_file",
        "--platform_config_file",
        "--thread_pool_factory_config_file",
        "--gateway_component",
    ] {
        for (file, found) in [(pipe, "found a pipe"), ("/dev/zero", "found a device")] {
            let flags: Vec<&str> = flag.split(' ').chain([file]).collect();
            let why = refusal(&flags);
            assert!(why.contains(file), "{flag}: {why}");
            assert!(why.ends_with(found), "{flag}: {why}");
        }
    }
}
