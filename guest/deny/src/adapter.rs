//! The answers: an error wherever there is one to give.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::bindings::exports::fermyon::spin::{key_value, variables};
use crate::bindings::exports::wasi::cli::environment;
use crate::bindings::exports::wasi::filesystem::preopens;
use crate::bindings::exports::wasi::http::outgoing_handler;
use crate::bindings::exports::wasi::sockets::{
    ip_name_lookup, tcp, tcp_create_socket, udp, udp_create_socket,
};

/// The world that denies.
pub(crate) struct Deny;

/// Resources that nobody ever gets: opening one is what is denied.
pub(crate) enum Never {}

fn denied(interface: &str) -> String {
    format!("{interface:?} is not permitted")
}

impl environment::Guest for Deny {
    fn get_environment() -> Vec<(String, String)> {
        Vec::new()
    }

    fn get_arguments() -> Vec<String> {
        Vec::new()
    }

    fn initial_cwd() -> Option<String> {
        None
    }
}

impl preopens::Guest for Deny {
    fn get_directories() -> Vec<(preopens::Descriptor, String)> {
        Vec::new()
    }
}

impl outgoing_handler::Guest for Deny {
    fn handle(
        _: outgoing_handler::OutgoingRequest,
        _: Option<outgoing_handler::RequestOptions>,
    ) -> Result<outgoing_handler::FutureIncomingResponse, outgoing_handler::ErrorCode> {
        let message = denied("wasi:http/outgoing-handler");
        Err(outgoing_handler::ErrorCode::InternalError(Some(message)))
    }
}

impl variables::Guest for Deny {
    fn get(_: String) -> Result<String, variables::Error> {
        Err(variables::Error::Other(denied("fermyon:spin/variables")))
    }
}

impl key_value::Guest for Deny {
    type Store = Never;
}

impl key_value::GuestStore for Never {
    fn open(_: String) -> Result<key_value::Store, key_value::Error> {
        Err(key_value::Error::AccessDenied)
    }

    fn get(&self, _: String) -> Result<Option<Vec<u8>>, key_value::Error> {
        match *self {}
    }

    fn set(&self, _: String, _: Vec<u8>) -> Result<(), key_value::Error> {
        match *self {}
    }

    fn delete(&self, _: String) -> Result<(), key_value::Error> {
        match *self {}
    }

    fn exists(&self, _: String) -> Result<bool, key_value::Error> {
        match *self {}
    }

    fn get_keys(&self) -> Result<Vec<String>, key_value::Error> {
        match *self {}
    }
}

impl ip_name_lookup::Guest for Deny {
    type ResolveAddressStream = Never;

    fn resolve_addresses(
        _: &ip_name_lookup::Network,
        _: String,
    ) -> Result<ip_name_lookup::ResolveAddressStream, ip_name_lookup::ErrorCode> {
        Err(ip_name_lookup::ErrorCode::AccessDenied)
    }
}

impl ip_name_lookup::GuestResolveAddressStream for Never {
    fn resolve_next_address(
        &self,
    ) -> Result<Option<ip_name_lookup::IpAddress>, ip_name_lookup::ErrorCode> {
        match *self {}
    }

    fn subscribe(&self) -> ip_name_lookup::Pollable {
        match *self {}
    }
}

impl tcp_create_socket::Guest for Deny {
    fn create_tcp_socket(
        _: tcp_create_socket::IpAddressFamily,
    ) -> Result<tcp::TcpSocket, tcp_create_socket::ErrorCode> {
        Err(tcp_create_socket::ErrorCode::AccessDenied)
    }
}

impl udp_create_socket::Guest for Deny {
    fn create_udp_socket(
        _: udp_create_socket::IpAddressFamily,
    ) -> Result<udp::UdpSocket, udp_create_socket::ErrorCode> {
        Err(udp_create_socket::ErrorCode::AccessDenied)
    }
}

impl tcp::Guest for Deny {
    type TcpSocket = Never;
}

impl udp::Guest for Deny {
    type UdpSocket = Never;
    type IncomingDatagramStream = Never;
    type OutgoingDatagramStream = Never;
}

/// Methods of sockets that nobody has.
macro_rules! never {
    ($($name:ident($($argument:ty),*) -> $result:ty;)*) => {
        $(fn $name(&self, $(_: $argument),*) -> $result {
            match *self {}
        })*
    };
}

type TcpResult<T> = Result<T, tcp::ErrorCode>;

impl tcp::GuestTcpSocket for Never {
    never! {
        start_bind(&tcp::Network, tcp::IpSocketAddress) -> TcpResult<()>;
        finish_bind() -> TcpResult<()>;
        start_connect(&tcp::Network, tcp::IpSocketAddress) -> TcpResult<()>;
        finish_connect() -> TcpResult<(tcp::InputStream, tcp::OutputStream)>;
        start_listen() -> TcpResult<()>;
        finish_listen() -> TcpResult<()>;
        accept() -> TcpResult<(tcp::TcpSocket, tcp::InputStream, tcp::OutputStream)>;
        local_address() -> TcpResult<tcp::IpSocketAddress>;
        remote_address() -> TcpResult<tcp::IpSocketAddress>;
        is_listening() -> bool;
        address_family() -> tcp::IpAddressFamily;
        set_listen_backlog_size(u64) -> TcpResult<()>;
        keep_alive_enabled() -> TcpResult<bool>;
        set_keep_alive_enabled(bool) -> TcpResult<()>;
        keep_alive_idle_time() -> TcpResult<tcp::Duration>;
        set_keep_alive_idle_time(tcp::Duration) -> TcpResult<()>;
        keep_alive_interval() -> TcpResult<tcp::Duration>;
        set_keep_alive_interval(tcp::Duration) -> TcpResult<()>;
        keep_alive_count() -> TcpResult<u32>;
        set_keep_alive_count(u32) -> TcpResult<()>;
        hop_limit() -> TcpResult<u8>;
        set_hop_limit(u8) -> TcpResult<()>;
        receive_buffer_size() -> TcpResult<u64>;
        set_receive_buffer_size(u64) -> TcpResult<()>;
        send_buffer_size() -> TcpResult<u64>;
        set_send_buffer_size(u64) -> TcpResult<()>;
        subscribe() -> tcp::Pollable;
        shutdown(tcp::ShutdownType) -> TcpResult<()>;
    }
}

type UdpResult<T> = Result<T, udp::ErrorCode>;

impl udp::GuestUdpSocket for Never {
    never! {
        start_bind(&udp::Network, udp::IpSocketAddress) -> UdpResult<()>;
        finish_bind() -> UdpResult<()>;
        stream(Option<udp::IpSocketAddress>)
            -> UdpResult<(udp::IncomingDatagramStream, udp::OutgoingDatagramStream)>;
        local_address() -> UdpResult<udp::IpSocketAddress>;
        remote_address() -> UdpResult<udp::IpSocketAddress>;
        address_family() -> udp::IpAddressFamily;
        unicast_hop_limit() -> UdpResult<u8>;
        set_unicast_hop_limit(u8) -> UdpResult<()>;
        receive_buffer_size() -> UdpResult<u64>;
        set_receive_buffer_size(u64) -> UdpResult<()>;
        send_buffer_size() -> UdpResult<u64>;
        set_send_buffer_size(u64) -> UdpResult<()>;
        subscribe() -> udp::Pollable;
    }
}

impl udp::GuestIncomingDatagramStream for Never {
    never! {
        receive(u64) -> UdpResult<Vec<udp::IncomingDatagram>>;
        subscribe() -> udp::Pollable;
    }
}

impl udp::GuestOutgoingDatagramStream for Never {
    never! {
        check_send() -> UdpResult<u64>;
        send(Vec<udp::OutgoingDatagram>) -> UdpResult<u64>;
        subscribe() -> udp::Pollable;
    }
}
